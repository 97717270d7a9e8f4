"""Reads what /metrics answers as Prometheus's own client library does, and holds its names to the conventions
(https://prometheus.io/docs/practices/naming/, and what `promtool check metrics` says).

    scrape.py <BODY

Prints a line `NAME{LABEL="VALUE",...} NUMBER` for each sample, labels in order. Exits with 1 and says why if
anything is wrong.
"""
import re
import sys

from prometheus_client.parser import text_string_to_metric_families

UNITS = ("seconds", "bytes", "records", "offset", "total", "info", "up", "streams", "limit")
wrong = []


def check(condition, family, what):
    if not condition:
        wrong.append(f"{family.name}: {what}")


def check_names(family):
    name = family.name + ("_total" if family.type == "counter" else "")
    check(re.fullmatch(r"(calc|process)_[a-z0-9_]+", name), family, "no such name")
    check(name.rsplit("_", 1)[1] in UNITS, family, "it ends with no unit")
    check(not re.search(r"milli|micro|nano|kilo|minutes|hours|_ms\b", name), family, "no base unit")
    check(not name.endswith(("_count", "_sum", "_bucket")), family, "a suffix of histograms")
    check(family.type not in name.split("_"), family, "its type is in its name")
    check(family.type in ("counter", "gauge", "histogram"), family, f"type {family.type}")
    check(family.documentation.endswith("."), family, "no sentence says what it is")
    check(family.samples or family.name.startswith("calc_http"), family, "it has no samples")


def check_histogram(family):
    series = {}
    for sample in family.samples:
        labels = {k: v for k, v in sample.labels.items() if k != "le"}
        one = series.setdefault(tuple(sorted(labels.items())), {"buckets": []})
        if sample.name.endswith("_bucket"):
            one["buckets"].append((float(sample.labels["le"]), sample.value))
        else:
            one[sample.name.rsplit("_", 1)[1]] = sample.value
    for one in series.values():
        check(one["buckets"] == sorted(one["buckets"]), family, "its buckets don't ascend")
        counts = [count for _, count in one["buckets"]]
        check(counts == sorted(counts), family, "its buckets aren't cumulative")
        check(one["buckets"][-1] == (float("inf"), one["count"]), family, "its count isn't +Inf's")
        check(one["sum"] >= 0, family, "a negative sum")


def main():
    text = sys.stdin.read()
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    samples = {}
    if len(names) != len(set(names)):
        wrong.append("a family comes twice")
    for family in families:
        check_names(family)
        if family.type == "histogram":
            check_histogram(family)
        for sample in family.samples:
            labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
            key = f"{sample.name}{{{labels}}}" if labels else sample.name
            if key in samples:
                wrong.append(f"{key} comes twice")
            samples[key] = sample.value
    if len([line for line in text.splitlines() if line and line[0] != "#"]) != len(samples):
        wrong.append("not every line is a sample")
    for key, value in samples.items():
        print(f"{key} {value:.17g}")
    for one in wrong:
        print(one, file=sys.stderr)
    sys.exit(bool(wrong))


main()
