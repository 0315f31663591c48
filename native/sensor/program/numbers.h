/* Numbers of the calls on this machine's kind of processor. */
#ifndef COFFERDAM_SENSOR_NUMBERS_H
#define COFFERDAM_SENSOR_NUMBERS_H

#include <asm/unistd.h>

/* Newer than the headers of some distributions; the same number everywhere. */
#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif
#ifndef __NR_setxattrat
#define __NR_setxattrat 463
#endif

#define CALL_NUMBERS 512

/* Calls that only older kinds of processors have get places behind all numbers. */
#ifndef __NR_open
#define __NR_open (CALL_NUMBERS + 0)
#define __NR_creat (CALL_NUMBERS + 1)
#define __NR_unlink (CALL_NUMBERS + 2)
#define __NR_rmdir (CALL_NUMBERS + 3)
#define __NR_rename (CALL_NUMBERS + 4)
#define __NR_link (CALL_NUMBERS + 5)
#define __NR_symlink (CALL_NUMBERS + 6)
#define __NR_mkdir (CALL_NUMBERS + 7)
#define __NR_mknod (CALL_NUMBERS + 8)
#define __NR_chmod (CALL_NUMBERS + 9)
#define __NR_chown (CALL_NUMBERS + 10)
#define __NR_lchown (CALL_NUMBERS + 11)
#define __NR_dup2 (CALL_NUMBERS + 12)
#define __NR_iopl (CALL_NUMBERS + 13)
#define __NR_ioperm (CALL_NUMBERS + 14)
#endif

#endif
