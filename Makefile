# make            the tools, in build/bin (SAN=1: with sanitizers, in build/san/bin)
# make run        everything on one machine, on port 3030 (PORT=, DATA=, KAFKA=1: on topics)
# make check      all tests, with what they need installed first (STRICT=1: a skip is a failure)
# make bench      measurements beside their yardsticks, into BENCHMARKS.md (ONLY=growth: how costs grow)
# make soak       the long forms of the fault loops: kill -9, losses of power, a fault at every call
# make fuzz       60 s a fuzzer
# make lint       compilers, shells, manual pages, and which room includes which
# make screenshots  of the page, for the README
# make sbom       what is linked, with versions, as SPDX: build/sbom.spdx.json
# make install    DESTDIR=, PREFIX=/usr/local
# make uninstall  what that put there, with the same DESTDIR= and PREFIX=
# make deb        the Debian packages, in build/deb
# make clean

VERSION = 0.1.0
PREFIX = /usr/local
DOCDIR = $(PREFIX)/share/doc/calc
UNITDIR = $(PREFIX)/lib/systemd/system
S := $(filter-out 0,$(SAN))
B = build$(if $S,/san)
CC = gcc
WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wwrite-strings $(WERROR)
# _FORTIFY_SOURCE=3 would cost the projector 5 % more instructions, -ftrivial-auto-var-init 50; these cost none of
# the tools 1 %. JUMPS are what the processor checks.
HARDEN = $(if $S,-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all -fno-omit-frame-pointer,\
  -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection $(JUMPS) -fPIE)
JUMPS := $(patsubst x86_64-%,-fcf-protection,$(filter x86_64-%,$(shell $(CC) -dumpmachine)))
HARDEN_LINK = $(if $S,,-pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code)
CFLAGS ?= -O2 -g
# no fused multiply-add: a result is the same bytes on every machine
ALL_CFLAGS = -std=gnu11 $(WARN) $(CPPFLAGS) $(HARDEN) $(CFLAGS) -ffp-contract=off -MMD -MP -Ilib $(SECTIONS) \
  -D_GNU_SOURCE -DCALC_VERSION='"$(VERSION)"'
# only the tools that call kafka_install() get librdkafka; LMDB and nettle from their archives: LMDB's shared one costs a query a third of its start (it brings libpthread)
LIBS = -ljansson -luuid -Wl,-Bstatic -llmdb -lnettle -Wl,-Bdynamic -lfcgi -lrdkafka -lpthread -lm
# what a tool doesn't call stays out of it, and what only that would have the loader look up at each start
SECTIONS = -ffunction-sections -fdata-sections
LINK = $(CC) $(ALL_CFLAGS) $(HARDEN_LINK) $(LDFLAGS) -Wl,--as-needed -Wl,--gc-sections -o $@

# sorted, because the order of what is linked must not depend on the locale
TOOLS := $(sort $(notdir $(wildcard cmd/*)))
LIB_OBJECTS := $(patsubst %.c,$B/%.o,$(sort $(wildcard lib/*/*.c)))
UNITS := $(patsubst %.c,$B/%,$(wildcard tests/unit/*.c))

all: $(TOOLS:%=$B/bin/%)
tests: all $(UNITS)

$B/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

$B/libcalc.a: $(LIB_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

.SECONDEXPANSION:
$(TOOLS:%=$B/bin/%): $B/bin/%: $$(addprefix $B/,$$(addsuffix .o,$$(basename $$(sort $$(wildcard cmd/%/*.c))))) $B/libcalc.a
	@mkdir -p $(@D)
	$(LINK) -Wl,-Map=$B/$(@F).map $^ $(LIBS)

# on topics, a quarter of the handler's time went to malloc and free: what one thread of librdkafka allocates
# another frees; mimalloc is made for that (sanitizers bring their own)
$B/bin/calc-handle: LIBS := $(if $S,,-lmimalloc) $(LIBS)

$B/cmd/calc-cgi/operations.o: cmd/calc-cgi/openapi.json
$B/cmd/calc-cgi/page.o: $(wildcard cmd/calc-cgi/page/*)

$(UNITS): $B/tests/unit/%: $B/tests/unit/%.o $B/libcalc.a
	$(LINK) $(filter %.o,$^) $B/libcalc.a $(LIBS)
$B/tests/unit/sql: $(patsubst %,$B/cmd/calc-sql/%.o,batch schema sql told)
$B/tests/unit/deadline: $B/cmd/calc-cgi/deadline.o
# its test lets every allocation fail in turn
$B/tests/unit/memory: $(patsubst %,$B/cmd/calc-submit/%.o,input scan_short)
$B/tests/unit/memory: LINK += $(foreach f,malloc calloc realloc free,-Wl,--wrap=$f)

run check:
	./scripts/$@
bench: all
	./scripts/deps bench
	./tests/bench/run
soak: tests
	./$B/tests/unit/view_wake 100000
	./tests/faults/soak.py --rounds 200
	./tests/faults/reader.py --rounds 1000
	./tests/faults/watch.py --events 100000 --kills 50
	./tests/faults/eventsource.py --events 100000 --kills 50
	./tests/faults/sql.py --events 100000 --kills 50
	./tests/faults/power.py --tries 8
	./tests/faults/sweep.py
	./tests/faults/kafka.py --rounds 20
	STORM=10000 RACE=1000 EXAMPLES=200 SEED=$$$$ ./scripts/check tests/http-storm.bats tests/http-openapi.bats
	STORM=10000 RACE=1000 bats -f storms tests/kafka-http.bats
	HANG=1 bats -f 'never ends' tests/kafka-handle.bats
	FLOODS=200 bats -f flood tests/http-fastcgi.bats
	CROWD=60 bats tests/threads.bats
	HANG=60 bats -f 'disk of the commands hangs' tests/service.bats
fuzz:
	./tests/fuzz/run 60
lint:
	@$(MAKE) --no-print-directory B=build/lint WERROR=-Werror CFLAGS=-O2 all tests
	@./scripts/lint
screenshots: all
	./tests/page/screenshots man

# from the linker's maps and from what the loader finds
sbom: all
	./scripts/sbom $B $(VERSION) $(TOOLS) >$B/sbom.spdx.json.new
	@mv $B/sbom.spdx.json.new $B/sbom.spdx.json

PAGES := $(wildcard man/*.[1578])
EXAMPLES := $(wildcard cmd/*/*.conf service/example.conf service/credentials.conf)
SERVICE := $(wildcard cmd/*/*@.service cmd/*/*@.socket service/*@.target)
COMPLETIONS = $(PREFIX)/share/bash-completion/completions
# one completion for all of them: it asks the tool's own --help
install: all
	install -D -t $(DESTDIR)$(PREFIX)/bin $(TOOLS:%=$B/bin/%)
	for page in $(PAGES); do install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man"$${page##*.}" "$$page"; done
	install -D -m 644 lib/tool/completion.bash $(DESTDIR)$(COMPLETIONS)/$(firstword $(TOOLS))
	for tool in $(wordlist 2,99,$(TOOLS)); do ln -sf $(firstword $(TOOLS)) $(DESTDIR)$(COMPLETIONS)/"$$tool"; done
	install -D -m 644 -t $(DESTDIR)$(DOCDIR)/examples $(EXAMPLES)
	install -D -m 644 -t $(DESTDIR)$(UNITDIR) $(SERVICE)
	install -D -m 644 service/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/calc.conf
	install -D -m 644 service/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/calc.conf
uninstall:
	rm -f $(foreach t,$(TOOLS),$(DESTDIR)$(PREFIX)/bin/$t $(DESTDIR)$(COMPLETIONS)/$t) \
	  $(foreach p,$(PAGES),$(DESTDIR)$(PREFIX)/share/man/man$(subst .,,$(suffix $p))/$(notdir $p)) \
	  $(foreach e,$(EXAMPLES),$(DESTDIR)$(DOCDIR)/examples/$(notdir $e)) \
	  $(foreach s,$(SERVICE),$(DESTDIR)$(UNITDIR)/$(notdir $s)) \
	  $(foreach d,sysusers tmpfiles,$(DESTDIR)$(PREFIX)/lib/$d.d/calc.conf)
deb:
	./scripts/deb
clean:
	rm -rf build

.PHONY: all tests run check bench soak fuzz lint screenshots sbom install uninstall deb clean
-include $(wildcard $B/lib/*/*.d $B/cmd/*/*.d $B/tests/unit/*.d)
