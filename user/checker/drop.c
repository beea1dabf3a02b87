/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From root to nobody in particular. Called once by main.c, before anything is read from anywhere.
 */
#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "checker/checker.h"

static int fail(char error[CHECKER_ERROR_MAX], int r, const char *what)
{
	snprintf(error, CHECKER_ERROR_MAX, "%s: %s", what, strerror(-r));
	return r;
}

static int become(uid_t uid, gid_t gid, char error[CHECKER_ERROR_MAX])
{
	/* The bounding set needs a capability to be emptied, so it goes first; the uid's change takes all the others. */
	capng_clear(CAPNG_SELECT_BOTH);
	capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SETUID, CAP_SETGID, CAP_SETPCAP, -1);
	if (capng_apply(CAPNG_SELECT_BOTH) < 0)
		return fail(error, -EPERM, "cannot give up capabilities");
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return fail(error, -errno, "cannot change to an unprivileged user");
	return 0;
}

/* Believes nothing: what does the kernel say that we are? */
static int verify(bool changed, uid_t uid, gid_t gid, char error[CHECKER_ERROR_MAX])
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	getresuid(&r, &e, &s);
	getresgid(&rg, &eg, &sg);
	if (changed && (r != uid || e != uid || s != uid || rg != gid || eg != gid || sg != gid || getgroups(0, NULL)))
		return fail(error, -EPERM, "the change of user did not hold");
	if (capng_get_caps_process() < 0 || capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE)
		return fail(error, -EPERM, "capabilities are left");
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return fail(error, -EPERM, "no_new_privs is not set");
	return 0;
}

int drop_privileges(const char **ret_notice, char error[CHECKER_ERROR_MAX])
{
	bool root = geteuid() == 0;
	struct passwd *user = NULL;
	const char *notice = NULL;
	uid_t uid = 0;
	gid_t gid = 0;
	int r;

	if (root) {
		user = getpwnam(CHECKER_USER);
		if (!user) {
			notice = "there is no user " CHECKER_USER ": checks run as " CHECKER_USER_FALLBACK
				 " (adduser --system --group --no-create-home " CHECKER_USER ")";
			user = getpwnam(CHECKER_USER_FALLBACK);
		}
		if (!user)
			return fail(error, -ENOENT, "there is neither a user " CHECKER_USER
						    " nor " CHECKER_USER_FALLBACK);
		uid = user->pw_uid;
		gid = user->pw_gid;
		if (!uid || !gid)
			return fail(error, -EPERM, "the user for the checks is root");
		r = become(uid, gid, error);
		if (r < 0)
			return r;
	} else {
		capng_clear(CAPNG_SELECT_CAPS);
		if (capng_apply(CAPNG_SELECT_CAPS) < 0)
			return fail(error, -EPERM, "cannot give up capabilities");
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail(error, -errno, "no_new_privs");
	/* There are passwords in its memory, and others may run as nobody too. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return fail(error, -errno, "cannot forbid core dumps");
	r = verify(root, uid, gid, error);
	if (r == 0)
		*ret_notice = notice;
	return r;
}
