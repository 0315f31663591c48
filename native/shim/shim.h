#ifndef COFFERDAM_SHIM_H
#define COFFERDAM_SHIM_H

/* shim.c: one line of JSON to the host. */
void tell(int gate, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* probe.c: makes calls that do nothing, and tells what each answered. */
void probe(int gate);

#endif
