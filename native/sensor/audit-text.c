/*
 * Messages of audit are texts: `audit(SECONDS.MS:SERIAL): name=value name=value`. What a process chose is in quotes, without quotes,
 * spaces and control characters in it, or in hexadecimal: no value can look like another field (kernel/audit.c).
 */
#define _GNU_SOURCE
#include "audit.h"
#include <stdlib.h>
#include <string.h>

const char *text_value(const char *text, const char *name) {
    size_t length = strlen(name);
    for (const char *at = text; (at = strstr(at, name)) != NULL; at += length)
        if (at > text && at[-1] == ' ' && at[length] == '=') return at + length + 1;
    return NULL;
}

uint64_t text_number(const char *text, const char *name, int base) {
    const char *value = text_value(text, name);
    return value == NULL ? 0 : strtoull(value, NULL, base);
}

static int digit(char one) {
    if (one >= '0' && one <= '9') return one - '0';
    if (one >= 'A' && one <= 'F') return one - 'A' + 10;
    if (one >= 'a' && one <= 'f') return one - 'a' + 10;
    return -1;
}

size_t text_decode(const char *value, char *into, size_t room) {
    size_t length = 0;
    if (*value == '"') {
        while (value[1 + length] != '"' && value[1 + length] != '\0') length++;
        memcpy(into, value + 1, length < room ? length : room);
        return length;
    }
    for (; digit(value[0]) >= 0 && digit(value[1]) >= 0; value += 2) {
        if (length < room) into[length] = (char)(digit(value[0]) << 4 | digit(value[1]));
        length++;
    }
    return length;
}
