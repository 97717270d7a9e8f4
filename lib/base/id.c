#include "base/id.h"

/* The value of a hexadecimal digit, 0xff for anything else. uuid_parse() of libuuid takes 200 ns
 * an id, which would be half of what a command costs; a unit test proves the two equal. */
static const uint8_t hex_value[256] = {
#define OTHER 0xff
    [0 ... '0' - 1] = OTHER,       ['0'] = 0,  1,  2,  3,  4,  5, 6, 7, 8, 9,
    ['9' + 1 ... 'A' - 1] = OTHER, ['A'] = 10, 11, 12, 13, 14, 15,
    ['F' + 1 ... 'a' - 1] = OTHER, ['a'] = 10, 11, 12, 13, 14, 15,
    ['f' + 1 ... 255] = OTHER,
#undef OTHER
};

/* Where each byte's two digits stand in the canonical spelling. */
static const uint8_t place[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};

int id_read(const char *text, struct id *id)
{
    const uint8_t *digit = (const uint8_t *)text;
    unsigned bad = 0;

    for (int i = 0; i < 16; i++) {
        unsigned high = hex_value[digit[place[i]]], low = hex_value[digit[place[i] + 1]];
        bad |= high | low;
        id->bytes[i] = (uint8_t)(high << 4 | (low & 15));
    }
    bad |= (text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-') << 7;
    return bad & 0xf0 ? -1 : 0;
}

int id_parse(const char *text, size_t len, struct id *id)
{
    return len == ID_TEXT ? id_read(text, id) : -1;
}

void id_write(const struct id *id, char *text)
{
    static const char hex[] = "0123456789abcdef";

    for (int i = 0; i < 16; i++) {
        text[place[i]] = hex[id->bytes[i] >> 4];
        text[place[i] + 1] = hex[id->bytes[i] & 15];
    }
    text[8] = text[13] = text[18] = text[23] = '-';
}
