/* Submitting: a line or a record of the input after the other, or a single command. */
#ifndef CALC_SUBMIT_SUBMIT_H
#define CALC_SUBMIT_SUBMIT_H

#include "base/histogram.h"
#include "calc/command.h"
#include "store/view.h"
#include "stream/kafka.h"
#include "stream/stream.h"
#include "tool/policy_file.h"
#include "tool/progress.h"

/* What the command line says, and where it has come to. Zeroed but for that. */
struct submitter {
    const char *input_name, *output_name, *folder, *from;
    char topic_name[KAFKA_STREAM_TEXT]; /* room for output_name */
    enum stream_kind input_kind, output_kind;
    bool follow, end, one_shot, waits, has_id;
    int64_t wait_ms;
    struct command command; /* one-shot: the command itself */
    struct reader *input;
    struct writer *output, *acknowledgements;
    struct buffer pending; /* of struct pending; logs only */
    size_t ended;          /* of them, which the writer took */
    struct view *view;
    const char *stats; /* a file; NULL: none */
    uint64_t read, refused, acknowledged; /* lines or records of the input, and commands */
    struct histogram commits;
    struct progress progress;
    const char *policy_name;
    struct policy_file *policy; /* NULL: everything is allowed */
    bool appended; /* something was, in this run */
    bool bad, rejected, undecided; /* refused by the policy is rejected, too */
};

/* Does it all. `bad`, `rejected` and `undecided` tell what isn't a failure and no success either. */
int submit(struct submitter *submitter, struct error *error);
void submit_release(struct submitter *submitter);

#endif
