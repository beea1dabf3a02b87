/* SPDX-License-Identifier: BSD-2-Clause */
/* What the programs call themselves: `git describe` of the tree that they were built from. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

extern const char alwayson_version[];

#endif
