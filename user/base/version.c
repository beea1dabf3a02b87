/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Built twice: for each program with the version of this build, and once for the library, where no version is told. With
 * it in one object alone, another commit is one file to compile, and no two parts of a program disagree about it.
 */
#include "base/version.h"

#ifndef ALWAYSON_VERSION
#define ALWAYSON_VERSION "unknown"
#endif

const char alwayson_version[] = ALWAYSON_VERSION;
