// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two lists under one lock: what is to be done, and what has been. The eventfd is readable exactly while
 * the second is not empty, which the lock covers too.
 */
#include "lib/file_threads.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"

/* As many requests as keep a disk busy; each is of up to half a MiB. */
#define NR_THREADS 8U

struct list {
	struct ring_op *first;
	struct ring_op **end;
};

struct file_threads {
	const int *fds;
	int event; /* eventfd */
	pthread_mutex_t lock; /* LOCK: all that follows, but the threads */
	pthread_cond_t work; /* there is something to do, or it is over */
	pthread_cond_t idle; /* nothing is under way any more */
	struct list todo;
	struct list done; /* results in their @result */
	unsigned int nr_running;
	bool over;
	pthread_t threads[NR_THREADS];
	unsigned int nr_threads;
};

static void list_init(struct list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void list_push(struct list *list, struct ring_op *op)
{
	op->next = NULL;
	*list->end = op;
	list->end = &op->next;
}

static struct ring_op *list_pop(struct list *list)
{
	struct ring_op *op = list->first;

	list->first = op->next;
	if (!list->first)
		list->end = &list->first;
	return op;
}

static int errno_of(ssize_t rc)
{
	return rc < 0 ? -errno : (int)rc;
}

int file_op_run(int fd, const struct ring_op *op)
{
	switch (op->kind) {
	case RING_READ:
		return errno_of(preadv(fd, op->iov, (int)op->nr_iov, (off_t)op->offset));
	case RING_WRITE:
		return errno_of(pwritev(fd, op->iov, (int)op->nr_iov, (off_t)op->offset));
	case RING_FALLOCATE:
		return errno_of(fallocate(fd, op->mode, (off_t)op->offset, (off_t)op->length));
	default:
		return errno_of(fdatasync(fd));
	}
}

/* --- the threads --- */

static void op_done(struct file_threads *t, struct ring_op *op, int rc)
{
	bool first = !t->done.first;

	op->result = rc;
	list_push(&t->done, op);
	if (first)
		(void)eventfd_write(t->event, 1);
	if (!--t->nr_running)
		(void)pthread_cond_signal(&t->idle);
}

static void *thread_main(void *context)
{
	struct file_threads *t = context;

	(void)pthread_mutex_lock(&t->lock);
	while (!t->over) {
		struct ring_op *op;
		int rc;

		if (!t->todo.first) {
			(void)pthread_cond_wait(&t->work, &t->lock);
			continue;
		}
		op = list_pop(&t->todo);
		t->nr_running++;
		(void)pthread_mutex_unlock(&t->lock);
		rc = file_op_run(t->fds[op->file], op);
		(void)pthread_mutex_lock(&t->lock);
		op_done(t, op, rc);
	}
	(void)pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* --- the ring's side --- */

int file_threads_open(const int *fds, struct file_threads **ret, struct failure *f)
{
	_cleanup_(file_threads_close_at) struct file_threads *t = calloc(1, sizeof(*t));
	int rc = 0;

	if (!t)
		return failure_no_memory(f);
	t->fds = fds;
	list_init(&t->todo);
	list_init(&t->done);
	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_cond_init(&t->work, NULL);
	(void)pthread_cond_init(&t->idle, NULL);
	t->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->event < 0)
		return failure_set(f, code_of_errno(errno), -errno, "cannot make an eventfd: %s",
				   strerror(errno));
	while (!rc && t->nr_threads < NR_THREADS) {
		rc = pthread_create(&t->threads[t->nr_threads], NULL, thread_main, t);
		t->nr_threads += !rc;
	}
	if (!t->nr_threads) /* some are enough */
		return failure_set(f, code_of_errno(rc), -rc, "cannot start a thread: %s", strerror(rc));
	*ret = steal_ptr(t);
	return 0;
}

void file_threads_close_at(struct file_threads **at)
{
	struct file_threads *t = steal_ptr(*at);

	if (!t)
		return;
	(void)pthread_mutex_lock(&t->lock);
	t->over = true;
	(void)pthread_cond_broadcast(&t->work);
	(void)pthread_mutex_unlock(&t->lock);
	while (t->nr_threads)
		(void)pthread_join(t->threads[--t->nr_threads], NULL);
	(void)pthread_cond_destroy(&t->idle);
	(void)pthread_cond_destroy(&t->work);
	(void)pthread_mutex_destroy(&t->lock);
	(void)close_fd(t->event);
	free(t);
}

void file_threads_start(struct file_threads *t, struct ring_op *op)
{
	(void)pthread_mutex_lock(&t->lock);
	list_push(&t->todo, op);
	(void)pthread_cond_signal(&t->work);
	(void)pthread_mutex_unlock(&t->lock);
}

bool file_threads_next(struct file_threads *t, struct ring_op **ret, int *ret_rc)
{
	bool found;

	(void)pthread_mutex_lock(&t->lock);
	found = t->done.first;
	if (found) {
		eventfd_t ignored;

		*ret = list_pop(&t->done);
		*ret_rc = (*ret)->result;
		if (!t->done.first)
			(void)eventfd_read(t->event, &ignored);
	}
	(void)pthread_mutex_unlock(&t->lock);
	return found;
}

int file_threads_fd(const struct file_threads *t)
{
	return t->event;
}

void file_threads_drain(struct file_threads *t)
{
	eventfd_t ignored;

	(void)pthread_mutex_lock(&t->lock);
	list_init(&t->todo);
	while (t->nr_running)
		(void)pthread_cond_wait(&t->idle, &t->lock);
	list_init(&t->done);
	(void)eventfd_read(t->event, &ignored);
	(void)pthread_mutex_unlock(&t->lock);
}
