/* The page for people: files that stand beside this one, in page/, as they are. */
#include <string.h>

#include "api.h"

#define FILE_OF(name, path) \
    __asm__(".pushsection .rodata\n" \
            "page_" #name "_begin: .incbin \"cmd/calc-cgi/page/" path "\"\n" \
            "page_" #name "_end: .byte 0\n" \
            ".popsection\n"); \
    extern const char page_##name##_begin[], page_##name##_end[]

FILE_OF(index, "index.html");
FILE_OF(style, "style.css");
FILE_OF(icon, "icon.svg");
FILE_OF(main, "main.js");
FILE_OF(live, "live.js");
FILE_OF(send, "send.js");
FILE_OF(chart, "chart.js");
FILE_OF(words, "words.js");

static const struct file {
    const char *path, *type, *begin, *end;
} files[] = {
    {"/", "text/html", page_index_begin, page_index_end},
    {"/page/style.css", "text/css", page_style_begin, page_style_end},
    {"/page/icon.svg", "image/svg+xml", page_icon_begin, page_icon_end},
    {"/page/main.js", "text/javascript", page_main_begin, page_main_end},
    {"/page/live.js", "text/javascript", page_live_begin, page_live_end},
    {"/page/send.js", "text/javascript", page_send_begin, page_send_end},
    {"/page/chart.js", "text/javascript", page_chart_begin, page_chart_end},
    {"/page/words.js", "text/javascript", page_words_begin, page_words_end},
};

/* The browser loads only what comes from here, runs no script that stands in the page or is made from
 * text, and shows it in nobody else's frame. */
static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

static const struct file *find_file(const char *path)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (strcmp(path, files[i].path) == 0)
            return &files[i];
    return NULL;
}

/* A file's entity tag is the digest of what it has. */
static void write_tag(const struct file *file, char tag[ID_TEXT + 1])
{
    static const struct id space = {0};
    struct id digest;

    id_derive(&space, file->begin, (size_t)(file->end - file->begin), &digest);
    id_write(&digest, tag);
    tag[ID_TEXT] = '\0';
}

void api_page(const struct request *request, struct response *response)
{
    const struct file *file = find_file(request_file(request));
    char tag[ID_TEXT + 1];

    if (!*request_file(request)) { /* the page's links are relative, so the slash counts */
        response->status = 308;
        response_path(request, response, "Location", "");
        response_path_end(response, "/");
        return;
    }
    if (!file) {
        response_problem(response, 404, "there is nothing here");
        return;
    }
    write_tag(file, tag);
    if (!api_tag_conditions_hold(request, tag, response))
        return;
    response->status = 200;
    response_header(response, "Content-Type", "%s; charset=utf-8", file->type);
    response_header(response, "Content-Security-Policy", "%s", policy);
    response_header(response, "X-Content-Type-Options", "nosniff");
    response_header(response, "Referrer-Policy", "no-referrer");
    buffer_append(&response->body, file->begin, (size_t)(file->end - file->begin));
}
