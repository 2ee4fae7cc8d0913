/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A domain of libvirt, by its UUID: does it run, shut it down, start it, define it. The only file that knows
 * libvirt, which it opens with dlopen(3): a host without libvirt needs nothing of it.
 *
 * A call takes as long as libvirt's daemon does, which may be for ever: for a process of its own
 * (prog/failback-libvirt.c), which somebody ends.
 *
 * Only a domain that is shut off does not run. Any other may write to its disks yet: one that is paused, is
 * suspended or has crashed has its QEMU, with the disks open; one that migrates runs on one of the hosts; and
 * of states that libvirt gets in the future nothing is known.
 *
 * A domain whose memory libvirt has saved (managed save, which libvirt-guests does when the host goes down) is
 * shut off, and yet not shut down: what the memory holds is not on the disks, and the next start brings it
 * back, over whatever the disks hold then. Neither is it said not to run, nor is it started.
 */
#ifndef FAILBACK_LIB_LIBVIRT_H
#define FAILBACK_LIB_LIBVIRT_H

#include <stdbool.h>

#include "base/failure.h"

struct libvirt;

/**
 * libvirt_open - connect to the libvirt at @uri, which the caller keeps until it is closed.
 *
 * CODE_NOT_SUPPORTED: there is no libvirt on this host; CODE_NOT_AVAILABLE: it does not answer;
 * CODE_ACCESS_DENIED; CODE_INVALID_PARAMETER: no such @uri.
 */
int libvirt_open(const char *uri, struct libvirt **ret, struct failure *f);

/** libvirt_close_at - *@l may be NULL, and is then. */
void libvirt_close_at(struct libvirt **l);

/**
 * libvirt_running - 1: it runs, 0: it does not, or libvirt does not know it. CODE_INVALID_STATE: its memory
 * is saved.
 */
int libvirt_running(struct libvirt *l, const char *uuid, struct failure *f);

/**
 * libvirt_stop - ask its guest to shut down; 0 as soon as it was asked, or does not run. CODE_INVALID_STATE:
 * it is in a state in which a guest hears nothing.
 */
int libvirt_stop(struct libvirt *l, const char *uuid, struct failure *f);

/**
 * libvirt_off - 1: it could be started; 0: it runs. CODE_FILE_NOT_FOUND, and -ENOENT: libvirt does not know
 * it; CODE_INVALID_STATE: its memory is saved, or it neither runs nor is shut off.
 */
int libvirt_off(struct libvirt *l, const char *uuid, struct failure *f);

/** libvirt_start - 0: it runs. Failures: those of libvirt_off(). */
int libvirt_start(struct libvirt *l, const char *uuid, struct failure *f);

/**
 * libvirt_autostart - 0: it runs, or is not marked to start with the host (`virsh autostart`). libvirt itself
 * tried when it started, and found no disk.
 */
int libvirt_autostart(struct libvirt *l, const char *uuid, struct failure *f);

/**
 * libvirt_xml - its definition as it is when it does not run, secrets and all; malloc()ed.
 * CODE_FILE_NOT_FOUND: libvirt does not know it.
 */
int libvirt_xml(struct libvirt *l, const char *uuid, char **ret, struct failure *f);

/** libvirt_check_name - CODE_IN_USE: a domain has it. */
int libvirt_check_name(struct libvirt *l, const char *name, struct failure *f);

/** libvirt_define - a domain that libvirt does not know, which @xml gives the UUID @uuid. */
int libvirt_define(struct libvirt *l, const char *uuid, const char *xml, struct failure *f);

/** libvirt_state_runs - PURE: does a domain in @state, a virDomainState, count as running? */
bool libvirt_state_runs(int state);

/** libvirt_state_stuck - PURE: what keeps a domain in @state from going on by itself; NULL: nothing. */
const char *libvirt_state_stuck(int state);

#endif
