/* SPDX-License-Identifier: BSD-3-Clause */
/* Error numbers, Linux's values: hypercalls return them negated. */
#ifndef LIB_ERRNO_H
#define LIB_ERRNO_H

#ifndef EPERM
#define EPERM     1
#define ENOENT    2
#define EIO       5
#define E2BIG     7
#define EAGAIN    11
#define ENOMEM    12
#define EACCES    13
#define EFAULT    14
#define EBUSY     16
#define EEXIST    17
#define ENODEV    19
#define EINVAL    22
#define ENOSPC    28
#define ERANGE    34
#define ENOSYS    38
#define ENOTTY    25
#define ESHUTDOWN 108
#define ETIMEDOUT 110
#endif

#endif
