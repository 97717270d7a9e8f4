#include <string.h>

#include "sql.h"

/* The tables, with the types that a dialect has for ids, times and doubles. Only the members that a
 * message may lack can be null. When a column changes, a database has to be filled anew:
 * calc-sql(1) says how. */
#define SCHEMA(ID, TIME, NUMBER)                                                                   \
    "begin;\n"                                                                                     \
    "create table if not exists calc_cursor (\n"                                                   \
    "    id smallint primary key check (id = 1),\n"                                                \
    "    cursor text not null\n"                                                                   \
    ");\n"                                                                                         \
    "create table if not exists calc_values (\n"                                                   \
    "    value_id " ID " primary key,\n"                                                           \
    "    value " NUMBER(                                                                           \
        "value") " not null,\n"                                                                    \
                 "    version bigint not null,\n"                                                  \
                 "    owner text,\n"                                                               \
                 "    created " TIME ",\n"                                                         \
                 "    updated " TIME "\n"                                                          \
                 ");\n"                                                                            \
                 "create table if not exists calc_events (\n"                                      \
                 "    id " ID " primary key,\n"                                                    \
                 "    parent " ID " not null,\n"                                                   \
                 "    action text not null,\n"                                                     \
                 "    value_id " ID " not null,\n"                                                 \
                 "    operation text,\n"                                                           \
                 "    value " NUMBER(                                                              \
                     "value") " not null,\n"                                                       \
                              "    version bigint not null,\n"                                     \
                              "    result " NUMBER(                                                \
                                  "result") " not null,\n"                                         \
                                            "    timestamp " TIME ",\n"                            \
                                            "    actor text,\n"                                    \
                                            "    unique (value_id, version)\n"                     \
                                            ");\n"                                                 \
                                            "create table if not exists calc_rejections (\n"       \
                                            "    id " ID " primary key,\n"                         \
                                            "    parent " ID ",\n"                                 \
                                            "    value_id " ID ",\n"                               \
                                            "    operation text,\n"                                \
                                            "    value " NUMBER(                                   \
                                                "value") ",\n"                                     \
                                                         "    reason text not null,\n"             \
                                                         "    version bigint,\n"                   \
                                                         "    position text,\n"                    \
                                                         "    timestamp " TIME ",\n"               \
                                                         "    actor text\n"                        \
                                                         ");\n"                                    \
                                                         "create index if not exists "             \
                                                         "calc_values_version on calc_values "     \
                                                         "(version);\n"                            \
                                                         "create index if not exists "             \
                                                         "calc_events_timestamp on calc_events "   \
                                                         "(timestamp);\n"                          \
                                                         "create index if not exists "             \
                                                         "calc_rejections_reason on "              \
                                                         "calc_rejections (reason, actor);\n"      \
                                                         "create index if not exists "             \
                                                         "calc_rejections_timestamp on "           \
                                                         "calc_rejections (timestamp);\n"          \
                                                         "commit;\n"

#define DOUBLE(column) "double precision"

/* A column that SQLite calls real makes 0.0 of -0.0; one without a type keeps what it is given. */
#define EXACT(column) "check (typeof(" column ") in ('real', 'null'))"

#define OPENING "\\set QUIET on\n\\set ON_ERROR_STOP on\n"

const char *sql_schema(enum dialect dialect)
{
    return dialect == DIALECT_POSTGRESQL ? OPENING
               "set client_min_messages = warning;\n" SCHEMA("uuid", "timestamptz", DOUBLE)
                                         : ".bail on\n" SCHEMA("text", "text", EXACT);
}

const char *sql_from(void)
{
    return "select coalesce((select cursor from calc_cursor where id = 1), 'beginning');\n";
}

const char *sql_opening(enum dialect dialect)
{
    return dialect == DIALECT_POSTGRESQL ? OPENING "set client_encoding = 'UTF8';\n"
                                         : ".bail on\n.timeout 60000\n";
}

/* A reader that becomes a writer in the middle may find that another one did: SQLite's writer says
 * so first. */
const char *sql_begin(enum dialect dialect)
{
    return dialect == DIALECT_POSTGRESQL ? "begin;\n" : "begin immediate;\n";
}

int dialect_read(const char *text, enum dialect *dialect)
{
    if (strcmp(text, "postgresql") == 0)
        *dialect = DIALECT_POSTGRESQL;
    else if (strcmp(text, "sqlite") == 0)
        *dialect = DIALECT_SQLITE;
    else
        return -1;
    return 0;
}
