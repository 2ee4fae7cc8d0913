/* SPDX-License-Identifier: GPL-2.0-or-later OR MIT */
/*
 * What the pure files (map, layout) need of the kernel, so that they also build in user space for
 * unit tests, sanitizers and fuzzers. The only place that asks where it is being compiled.
 */
#ifndef CBT_PORT_H
#define CBT_PORT_H

#ifdef __KERNEL__

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/crc32c.h>
#include <linux/gfp.h>
#include <linux/limits.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>

/*
 * NORETRY: the caller has a fall-back, and a write on its way to a swap device must not wait for
 * memory.
 */
static inline void *port_zeroed_page(void)
{
	return (void *)__get_free_page(GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN | __GFP_ZERO);
}

static inline void port_free_page(void *page)
{
	free_page((unsigned long)page);
}

/* Each bit as it stands at some moment of the call, however the copy is made. */
static inline void port_copy_bits(void *to, const atomic64_t *words, u32 nr_words)
{
#ifdef __LITTLE_ENDIAN
	data_race(memcpy(to, words, nr_words * sizeof(u64)));
#else
	u32 w;

	for (w = 0; w < nr_words; w++)
		put_unaligned_le64(atomic64_read(&words[w]), to + w * sizeof(u64));
#endif
}

#else

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef struct {
	u64 counter;
} atomic64_t;

#define GFP_KERNEL 0
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#define cmpxchg(p, old, new)                                                       \
	({                                                                         \
		__typeof__(*(p)) old_ = (old);                                     \
		(void)__atomic_compare_exchange_n(p, &old_, new, 0,                \
						  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
		old_;                                                              \
	})
#define atomic64_read(v) __atomic_load_n(&(v)->counter, __ATOMIC_RELAXED)
#define atomic64_set(v, i) __atomic_store_n(&(v)->counter, i, __ATOMIC_RELAXED)
#define atomic64_add(i, v) ((void)__atomic_fetch_add(&(v)->counter, i, __ATOMIC_RELAXED))
#define atomic64_fetch_or(i, v) __atomic_fetch_or(&(v)->counter, i, __ATOMIC_SEQ_CST)
#define hweight64(w) ((unsigned int)__builtin_popcountll(w))
#define __ffs64(w) ((unsigned long)__builtin_ctzll(w))
#define cpu_to_le32(x) htole32(x)
#define cpu_to_le64(x) htole64(x)
#define le32_to_cpu(x) le32toh(x)
#define le64_to_cpu(x) le64toh(x)
#define __set_bit(nr, p) ((p)[(nr) / 64] |= 1UL << ((nr) % 64))
#define BUILD_BUG_ON(e) _Static_assert(!(e), #e)
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define __force
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define kvcalloc(n, size, gfp) calloc(n, size)
#define kvfree(p) free(p)
#define cond_resched() ((void)0)

/* CRC32C without the inversions before and after, as the kernel's. */
u32 crc32c(u32 crc, const void *data, size_t length);

static inline void port_copy_bits(void *to, const atomic64_t *words, u32 nr_words)
{
	u32 w;

	for (w = 0; w < nr_words; w++) {
		u64 word = htole64(atomic64_read(&words[w]));

		memcpy((u8 *)to + w * sizeof(word), &word, sizeof(word));
	}
}

/* Defined by the test program, which may refuse. */
void *port_zeroed_page(void);
void port_free_page(void *page);

#endif
#endif
