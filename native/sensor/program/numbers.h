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

/* Calls that only older kinds of processors have get a number that no call has. */
#ifndef __NR_open
#define __NR_open 511
#define __NR_creat 511
#define __NR_unlink 511
#define __NR_rmdir 511
#define __NR_rename 511
#define __NR_link 511
#define __NR_symlink 511
#define __NR_mkdir 511
#define __NR_mknod 511
#define __NR_chmod 511
#define __NR_chown 511
#define __NR_lchown 511
#define __NR_dup2 511
#define __NR_iopl 511
#define __NR_ioperm 511
#endif

#endif
