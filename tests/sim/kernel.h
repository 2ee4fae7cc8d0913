/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * As much of a kernel as kmod/store.c, log.c and checkpoint.c need, single-threaded, so that a test runs
 * these very files in user space and decides in which order things happen. What they queue (work,
 * RCU callbacks, I/O) waits in struct sim until the test calls sim_step(), and so does whoever waits
 * for an event. Timers never expire.
 *
 * The device is an array of store blocks with writes that may be lost. A write is in flight until
 * its completion was chosen; it is durable when it was FUA and is complete, or was complete when a
 * flush was submitted that is complete. What must not wait is refused now and then.
 */
#ifndef FAILBACK_TESTS_SIM_KERNEL_H
#define FAILBACK_TESTS_SIM_KERNEL_H

#include <stdio.h>

#include "cbt-disk.h"
#include "port.h"

/* --- language, memory, atomics --- */

typedef int64_t s64;
typedef s64 ktime_t;
typedef u8 blk_status_t;
typedef u32 blk_opf_t;
typedef u64 sector_t;
typedef struct {
	int counter;
} atomic_t;
typedef struct {
	int held;
} spinlock_t;

#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
#define swap(a, b) do { __typeof__(a) t_ = (a); (a) = (b); (b) = t_; } while (0)
#define U64_MAX (~0ULL)
#define GFP_NOIO 0
#define __GFP_ZERO 0
#define __GFP_NOFAIL 0
#define WARN_ON_ONCE(e)                                                                     \
	((e) ? (fprintf(stderr, "WARN_ON %s:%d: %s\n", __FILE__, __LINE__, #e), abort()) : (void)0)
#define min_t(type, a, b) min((type)(a), (type)(b))
#define ilog2(n) (63 - __builtin_clzll(n))
#define BITS_TO_LONGS(n) (((n) + 63) / 64)

#define kcalloc(n, size, gfp) calloc(n, size)
#define kzalloc(size, gfp) calloc(1, size)
#define kmalloc(size, gfp) malloc(size)
#define kfree(p) free(p)
#define alloc_pages_exact(size, gfp) calloc(1, size)
#define free_pages_exact(p, size) free(p)
#define memalloc_noio_save() 0
#define memalloc_noio_restore(flags) ((void)(flags))

#define smp_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define smp_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define atomic_inc(v) ((void)++(v)->counter)
#define atomic_dec_return_release(v) (--(v)->counter)
#define atomic_read_acquire(v) ((v)->counter)
#define atomic64_inc(v) ((void)++(v)->counter)

static inline bool atomic64_try_cmpxchg(atomic64_t *v, s64 *old, s64 new)
{
	return __atomic_compare_exchange_n(&v->counter, (u64 *)old, (u64)new, 0, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED);
}

#define test_bit(nr, p) ((p)[(nr) / 64] >> ((nr) % 64) & 1)
#define bitmap_zero(p, nr) memset(p, 0, BITS_TO_LONGS(nr) * sizeof(long))

static inline u64 find_next_bit(const unsigned long *p, u64 nr, u64 from)
{
	while (from < nr && !test_bit(from, p))
		from++;
	return from < nr ? from : nr;
}

/* One thread: a lock that is taken twice is a deadlock, and nothing else can go wrong. */
#define DEFINE_SPINLOCK(name) spinlock_t name
#define spin_lock_init(lock) ((lock)->held = 0)
#define spin_lock(lock) do { WARN_ON_ONCE((lock)->held); (lock)->held = 1; } while (0)
#define spin_unlock(lock) ((lock)->held = 0)

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD(name) struct list_head name = { &(name), &(name) }
#define list_for_each_entry(pos, head, member)                                              \
	for ((pos) = container_of((head)->next, __typeof__(*(pos)), member);                \
	     &(pos)->member != (head);                                                      \
	     (pos) = container_of((pos)->member.next, __typeof__(*(pos)), member))
#define list_for_each_entry_safe(pos, n, head, member)                                      \
	for ((pos) = container_of((head)->next, __typeof__(*(pos)), member),                \
	    (n) = container_of((pos)->member.next, __typeof__(*(pos)), member);             \
	     &(pos)->member != (head);                                                      \
	     (pos) = (n), (n) = container_of((n)->member.next, __typeof__(*(n)), member))

static inline void list_add(struct list_head *entry, struct list_head *head)
{
	entry->next = head->next;
	entry->prev = head;
	head->next->prev = entry;
	head->next = entry;
}

/* --- what happens later --- */

struct work_struct {
	void (*fn)(struct work_struct *work);
	bool queued;
};
struct delayed_work {
	struct work_struct work;
};
#define to_delayed_work(w) container_of(w, struct delayed_work, work)
struct workqueue_struct {
	int unused;
};
static inline void sim_names(const char *name, ...) { (void)name; }
struct rcu_head {
	void (*fn)(struct rcu_head *head);
};
typedef int wait_queue_head_t;

#define SIM_WORKS 16
#define SIM_BLOCKS 64
#define SIM_WRITES 4096

struct sim_write {
	u64 block;
	bool complete;
	bool fua;
	u8 data[CBT_DISK_BLOCK];
};

struct bio;

struct sim_io {
	struct bio *bio;
	bool refused;
	u32 first_write, nr_writes; /* in sim.writes, in order of submission */
	u32 flushes; /* the first so many writes, as far as they are complete now, */
	u64 complete_before[SIM_WRITES / 64]; /* ... which are these */
};

struct sim {
	u64 random;
	int nr_readers; /* in RCU sections: no callback is run */
	struct work_struct *works[SIM_WORKS];
	u32 nr_works;
	struct rcu_head *rcu;
	u8 durable[SIM_BLOCKS][CBT_DISK_BLOCK];
	u8 now[SIM_BLOCKS][CBT_DISK_BLOCK];
	struct sim_write *writes; /* not known to be durable, SIM_WRITES */
	u32 nr_writes;
	struct sim_io io[16];
	u32 nr_io;
	u64 nr_submitted; /* ever */
	bool detached; /* writes go nowhere any more */
	u32 nr_super_writes; /* ever; of them the device refuses those */
	u32 super_errors_from, nr_super_errors; /* ... from the first one on, so many */
};

extern struct sim sim;

/** sim_step - something that is due happens; false when nothing is. */
bool sim_step(void);

/** sim_cut - what the device may hold if the power fails now; @random decides. */
void sim_cut(u8 (*ret)[CBT_DISK_BLOCK], u64 *random);

bool queue_work(struct workqueue_struct *queue, struct work_struct *work);
bool cancel_work_sync(struct work_struct *work);

#define INIT_WORK(w, f) (*(w) = (struct work_struct){ .fn = (f) })
#define INIT_DELAYED_WORK(w, f) INIT_WORK(&(w)->work, f)
#define queue_delayed_work(queue, w, delay) ((void)(w), (void)(delay))
#define mod_delayed_work(queue, w, delay) ((void)(w))
#define cancel_delayed_work_sync(w) ((void)(w))
#define WQ_UNBOUND 0U
#define WQ_MEM_RECLAIM 0U
#define alloc_workqueue(format, flags, max, ...)                                            \
	((void)(flags), sim_names(__VA_ARGS__), (struct workqueue_struct *)calloc(1, 1))
#define MAJOR(dev) ((dev) >> 20)
#define MINOR(dev) ((dev) & 0xfffff)
#define destroy_workqueue(queue) free(queue)

#define pr_warn(...) ((void)0)
#define call_rcu(head, f) ((head)->fn = (f), sim.rcu = (head))
void rcu_barrier(void);

#define HZ 1000
#define jiffies 0UL
#define msecs_to_jiffies(ms) ((unsigned long)(ms))
#define time_after(a, b) ((long)((b) - (a)) < 0)
#define msleep(ms) ((void)sim_step())
#define ktime_get() ((ktime_t)0)
#define ktime_sub(a, b) ((a) - (b))
#define ktime_to_ns(t) (t)
#define ktime_ms_delta(later, earlier) (((later) - (earlier)) / 1000000)

#define init_waitqueue_head(wait) (*(wait) = 0)
#define wake_up_all(wait) ((void)(wait))
#define wait_event(wait, condition)                     \
	do {                                            \
		while (!(condition))                    \
			WARN_ON_ONCE(!sim_step());      \
	} while (0)
#define wait_event_timeout(wait, condition, timeout)    \
	do {                                            \
		(void)(timeout);                        \
		while (!(condition) && sim_step())      \
			;                               \
	} while (0)

/* --- the device --- */

#define REQ_OP_READ 0U
#define REQ_OP_WRITE 1U
#define REQ_SYNC 0U
#define REQ_META 0U
#define REQ_IDLE 0U
#define REQ_FUA 8U
#define REQ_PREFLUSH 16U
#define REQ_NOWAIT 32U
#define BLK_STS_AGAIN 12
#define BLK_STS_NOTSUPP 1
#define BLK_STS_IOERR 10

struct block_device {
	int unused;
};
struct bio_vec {
	int unused;
};
struct bio {
	struct block_device *bi_bdev;
	blk_opf_t bi_opf;
	struct {
		sector_t bi_sector;
	} bi_iter;
	void (*bi_end_io)(struct bio *bio);
	void *bi_private;
	blk_status_t bi_status;
	u8 *data;
	u32 nr_blocks;
};

#define bdev_nowait(bdev) ((void)(bdev), true)
#define bio_op(bio) ((bio)->bi_opf & 1)
#define op_is_write(op) ((op) & 1)
#define op_is_flush(opf) ((opf) & (REQ_FUA | REQ_PREFLUSH))
#define virt_to_page(p) (p)
#define offset_in_page(p) ((void)(p), 0)
#define bdev_nr_sectors(bdev) ((void)(bdev), (u64)SIM_BLOCKS * CBT_DISK_SECTORS)
#define bio_uninit(bio) ((void)(bio))
#define bio_endio(bio) ((bio)->bi_end_io(bio))

static inline void bio_init(struct bio *bio, struct block_device *bdev, struct bio_vec *vec, u16 nr,
			    blk_opf_t opf)
{
	(void)vec;
	(void)nr;
	*bio = (struct bio){ .bi_bdev = bdev, .bi_opf = opf };
}

static inline void __bio_add_page(struct bio *bio, void *page, u32 length, u32 offset)
{
	(void)offset;
	bio->data = page;
	bio->nr_blocks = length / CBT_DISK_BLOCK;
}

void submit_bio(struct bio *bio);

#endif
