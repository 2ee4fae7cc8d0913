// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the program prints goes to files in memory, so that neither side ever waits for the other.
 */
#include "lib/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/child.h"

#define WORDS_MAX   32
#define SAID_MAX    380 /* bytes of a sentence for what a program said */
#define SYSTEM_PATH "/usr/local/sbin:/usr/sbin:/sbin" /* which the PATH of an su may lack */

/* --- the program --- */

static bool find_in(const char *directories, const char *name, char ret[PATH_MAX])
{
	while (directories && *directories) {
		int len = (int)strcspn(directories, ":");

		if (len && (size_t)snprintf(ret, PATH_MAX, "%.*s/%s", len, directories, name) < PATH_MAX &&
		    access(ret, X_OK) == 0)
			return true;
		directories += len;
		directories += *directories == ':';
	}
	return false;
}

static int find_program(const char *name, const char *package, char ret[PATH_MAX], struct failure *f)
{
	if (find_in(getenv("PATH"), name, ret) || find_in(SYSTEM_PATH, name, ret))
		return 0;
	return failure_set(f, CODE_NOT_SUPPORTED, -ENOENT,
			   "There is no program %s on this host: install %s.", name, package);
}

/* --- what it prints --- */

static int read_back(int fd, char **ret, struct failure *f)
{
	cleanup_free char *text = NULL;
	size_t done = 0;
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st) < 0 || (size_t)st.st_size > RUN_OUTPUT_MAX)
		return failure_set(f, CODE_FAILED, -EFBIG, "it prints more than can be read");
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return failure_no_memory(f);
	while ((got = pread(fd, text + done, (size_t)st.st_size - done, (off_t)done)) > 0)
		done += (size_t)got;
	text[done] = '\0';
	*ret = steal_ptr(text);
	return 0;
}

/* Its lines as one, from the first of them that still fits; @text is changed. */
static const char *join_lines(char *text)
{
	char *start = text;
	char *end = text;
	char *rest = NULL;

	for (char *line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
		size_t len;

		line += strspn(line, " \t");
		len = strlen(line);
		if ((size_t)(end - start) + 2 + len > SAID_MAX)
			start = end = text;
		/* Each line but the first has lost its newline, and the one before it, too. */
		if (end != start)
			end = stpcpy(end, " ");
		memmove(end, line, len + 1);
		end += len;
	}
	*end = '\0';
	return start;
}

static int explain(const char *name, int status, int error_fd, struct failure *f)
{
	cleanup_free char *text = NULL;
	const char *line = "";

	if (!read_back(error_fd, &text, NULL))
		line = join_lines(text);
	if (WIFSIGNALED(status))
		return failure_set(f, CODE_FAILED, -EIO, "%s was ended by signal %d.", name,
				   WTERMSIG(status));
	return failure_set(f, CODE_FAILED, -EIO, "%s failed with status %d%s%.380s", name,
			   WEXITSTATUS(status), *line ? ": " : ".", line);
}

/* --- running --- */

/* In its own process group, it hears nothing of what is typed at the caller. */
static void hold_signals(sigset_t *ret_old)
{
	sigset_t held;

	(void)sigemptyset(&held);
	(void)sigaddset(&held, SIGINT);
	(void)sigaddset(&held, SIGTERM);
	(void)sigaddset(&held, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &held, ret_old);
}

static int run(const char *const *argv, const int fds[3], int *ret_status, struct failure *f)
{
	pid_t pid;
	int rc = child_start(argv, fds, 3, &pid, f);

	while (!rc && waitpid(pid, ret_status, 0) < 0) {
		if (errno != EINTR)
			return failure_set(f, CODE_FAILED, -errno, "%s is not waited for: %s.", argv[0],
					   strerror(errno));
	}
	return rc;
}

int run_program(const char *const *argv, const char *package, bool changes, char **ret_output,
		struct failure *f)
{
	cleanup_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	cleanup_fd int output = memfd_create("output", MFD_CLOEXEC);
	cleanup_fd int errors = memfd_create("errors", MFD_CLOEXEC);
	const char *words[WORDS_MAX + 1] = { NULL };
	char path[PATH_MAX];
	sigset_t old;
	int status = 0;
	int rc = find_program(argv[0], package, path, f);

	words[0] = path;
	for (size_t i = 1; !rc && argv[i]; i++) {
		if (i == WORDS_MAX)
			return failure_set(f, CODE_FAILED, -E2BIG, "%s gets too many words.", argv[0]);
		words[i] = argv[i];
	}
	if (!rc && (null < 0 || output < 0 || errors < 0))
		rc = failure_set(f, CODE_FAILED, -errno, "Cannot run %s: %s.", argv[0], strerror(errno));
	if (rc)
		return rc;
	if (changes)
		hold_signals(&old);
	rc = run(words, (const int[]){ null, output, errors }, &status, f);
	if (!rc && status)
		rc = explain(argv[0], status, errors, f);
	if (!rc && ret_output)
		rc = read_back(output, ret_output, f);
	if (changes)
		(void)sigprocmask(SIG_SETMASK, &old, NULL);
	return rc;
}
