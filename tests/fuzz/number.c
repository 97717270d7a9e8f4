/* Any bits as a number: written as the slow way writes it, and read back. Any bytes as text: read
 * as strtod reads it, and only where JSON's grammar has a number. */
#include "../unit/number_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How long the JSON number at the start of a text is (RFC 8259, section 6); 0: there is none. */
static size_t grammar(const char *text)
{
    const char *at = text + (*text == '-');
    size_t digits = strspn(at, "0123456789");

    if (!digits || (*at == '0' && digits > 1))
        return 0;
    at += digits;
    if (*at == '.') {
        digits = strspn(++at, "0123456789");
        if (!digits)
            return 0;
        at += digits;
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '+' || *at == '-';
        digits = strspn(at, "0123456789");
        if (!digits)
            return 0;
        at += digits;
    }
    return (size_t)(at - text);
}

static void check_number(double number)
{
    char text[NUMBER_TEXT + 1];
    size_t len = number_write(number, text);
    double back = 0;

    text[len] = '\0';
    if (strcmp(text, slowly(number)) != 0)
        abort(); /* not the fewest digits, or another spelling */
    if (number_read(text, len, &back) != len || !same(number, back))
        abort(); /* reads back as another number */
}

static void check_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    double wanted, got = 0;
    size_t len, read;

    memcpy(text, data, size);
    text[size] = '\0';
    len = grammar(text);
    read = number_read(text, size, &got);
    if (len) {
        char *token = strndup(text, len);
        wanted = strtod(token, NULL);
        free(token);
        if (isinf(wanted) ? read != 0 : read != len || !same(got, wanted))
            abort();
        if (!isinf(wanted))
            check_number(wanted);
    } else if (read) {
        abort();
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    double number;

    if (size >= sizeof number) {
        memcpy(&number, data, sizeof number);
        if (isfinite(number))
            check_number(number);
    }
    check_text(data, size);
    return 0;
}
