// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/libvirt.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "base/cleanup.h"
#include "base/text.h"

#define LIBRARY "libvirt.so.0"

/* Those that are used; all are in libvirt 0.9.2 and later. */
#define FUNCTIONS(X)                    \
	X(virConnectClose)              \
	X(virConnectOpen)               \
	X(virDomainCreate)              \
	X(virDomainDefineXML)           \
	X(virDomainFree)                \
	X(virDomainGetAutostart)        \
	X(virDomainGetState)            \
	X(virDomainGetXMLDesc)          \
	X(virDomainHasManagedSaveImage) \
	X(virDomainLookupByName)        \
	X(virDomainLookupByUUIDString)  \
	X(virDomainShutdown)            \
	X(virGetLastError)              \
	X(virSetErrorFunc)

struct functions {
#define MEMBER(name) __typeof__(name) *name;
	FUNCTIONS(MEMBER)
#undef MEMBER
};

struct libvirt {
	void *library;
	struct functions call;
	virConnectPtr connection;
	const char *uri;
};

/* --- states --- */

bool libvirt_state_runs(int state)
{
	return state != VIR_DOMAIN_SHUTOFF;
}

const char *libvirt_state_stuck(int state)
{
	switch (state) {
	case VIR_DOMAIN_PAUSED:
		return "is paused";
	case VIR_DOMAIN_PMSUSPENDED:
		return "is suspended";
	case VIR_DOMAIN_CRASHED:
		return "has crashed";
	default:
		return NULL;
	}
}

/* --- failures --- */

/* Libvirt would print what it is asked for anyway. */
static void be_quiet(void *context, virErrorPtr error)
{
	(void)context;
	(void)error;
}

static int explain_connection(const char *uri, const virError *e, const char *said,
			      struct failure *f)
{
	const char *stop = text_full_stop(said);

	switch (e ? e->code : VIR_ERR_OK) {
	case VIR_ERR_AUTH_FAILED:
	case VIR_ERR_AUTH_CANCELLED:
	case VIR_ERR_AUTH_UNAVAILABLE:
	case VIR_ERR_ACCESS_DENIED:
		break;
	case VIR_ERR_SYSTEM_ERROR:
		if (e->int1 == EACCES || e->int1 == EPERM)
			break;
		/* fall through */
	case VIR_ERR_RPC:
		return failure_set(
			f, CODE_NOT_AVAILABLE, -ECONNREFUSED,
			"Libvirt does not answer at \"%.100s\": start its daemon (libvirtd or "
			"virtqemud), or mend libvirt-uri in failbackd.conf. It said: %.200s%s",
			uri, said, stop);
	default:
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "Libvirt cannot use the URI \"%.100s\": mend libvirt-uri in "
				   "failbackd.conf. It said: %.200s%s",
				   uri, said, stop);
	}
	return failure_set(
		f, CODE_ACCESS_DENIED, -EACCES,
		"Libvirt at \"%.100s\" does not let this process in: allow root in libvirtd.conf "
		"or virtqemud.conf. It said: %.200s%s",
		uri, said, stop);
}

static const char *said_by(const virError *e)
{
	return e && e->message ? e->message : "nothing";
}

static int explain(const struct libvirt *l, const char *uuid, const char *what, struct failure *f)
{
	const virError *e = l->call.virGetLastError();
	const char *said = said_by(e);

	if (e && (e->code == VIR_ERR_ACCESS_DENIED || e->code == VIR_ERR_AUTH_FAILED))
		return failure_set(
			f, CODE_ACCESS_DENIED, -EACCES,
			"Libvirt at \"%.100s\" does not allow this process to %s domain %s: allow "
			"root to in its access rules. It said: %.200s%s",
			l->uri, what, uuid, said, text_full_stop(said));
	return failure_set(f, CODE_FAILED, -EIO,
			   "Libvirt at \"%.100s\" could not %s domain %s. It said: %.250s%s",
			   l->uri, what, uuid, said, text_full_stop(said));
}

static int explain_stuck(const char *uuid, const char *stuck, struct failure *f)
{
	return failure_set(
		f, CODE_INVALID_STATE, -EBADE,
		"Domain %s %s, where its guest hears nothing: let it go on (`virsh resume`, `virsh "
		"dompmwakeup`), or end it (`virsh destroy`).",
		uuid, stuck);
}

static int explain_saved(const char *uuid, struct failure *f)
{
	return failure_set(
		f, CODE_INVALID_STATE, -EBADE,
		"Domain %s is saved, not shut down: a start would bring back memory that fits only "
		"what its disks held when it was saved. Where they still hold that, start it and "
		"shut it down; else `virsh managedsave-remove` drops the memory.",
		uuid);
}

/* --- opening --- */

static int load(struct libvirt *l, struct failure *f)
{
	l->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!l->library) {
		const char *why = dlerror();

		return failure_set(
			f, CODE_NOT_SUPPORTED, -EOPNOTSUPP,
			"Libvirt cannot be loaded (%.200s): install it (Debian's libvirt0, others' "
			"libvirt-libs), or say vm-driver = exec in failbackd.conf.",
			why ? why : LIBRARY);
	}
#define FIND(name)                                                                         \
	l->call.name = (__typeof__(name) *)dlsym(l->library, #name);                       \
	if (!l->call.name)                                                                 \
		return failure_set(                                                        \
			f, CODE_NOT_SUPPORTED, -EOPNOTSUPP,                                \
			"The libvirt of this host has no %s: install a newer one, or say " \
			"vm-driver = exec in failbackd.conf.",                             \
			#name);
	FUNCTIONS(FIND)
#undef FIND
	return 0;
}

int libvirt_open(const char *uri, struct libvirt **ret, struct failure *f)
{
	_cleanup_(libvirt_close_at) struct libvirt *l = calloc(1, sizeof(*l));
	const virError *e;
	int rc;

	if (!l)
		return failure_no_memory(f);
	l->uri = uri;
	rc = load(l, f);
	if (rc)
		return rc;
	l->call.virSetErrorFunc(NULL, be_quiet);
	l->connection = l->call.virConnectOpen(uri);
	if (!l->connection) {
		e = l->call.virGetLastError();
		return explain_connection(uri, e, said_by(e), f);
	}
	*ret = steal_ptr(l);
	return 0;
}

/* The library stays: threads of its own may not be unloaded. */
void libvirt_close_at(struct libvirt **at)
{
	struct libvirt *l = steal_ptr(*at);

	if (l && l->connection)
		(void)l->call.virConnectClose(l->connection);
	free(l);
}

/* --- a domain --- */

struct domain {
	const struct libvirt *libvirt;
	virDomainPtr handle; /* NULL: libvirt does not know it */
	int state;
	bool saved;
};

static void domain_release(struct domain *d)
{
	if (d->handle)
		(void)d->libvirt->call.virDomainFree(d->handle);
}

/* A domain that is not persistent is gone when it ends, at any moment. */
static int domain_get(const struct libvirt *l, const char *uuid, struct domain *ret,
		      struct failure *f)
{
	const virError *e;
	int saved = 0;

	ret->libvirt = l;
	ret->handle = l->call.virDomainLookupByUUIDString(l->connection, uuid);
	if (ret->handle && !l->call.virDomainGetState(ret->handle, &ret->state, NULL, 0))
		saved = l->call.virDomainHasManagedSaveImage(ret->handle, 0);
	else
		saved = -1;
	e = saved < 0 ? l->call.virGetLastError() : NULL;
	if (e && e->code == VIR_ERR_NO_DOMAIN) {
		domain_release(ret);
		ret->handle = NULL;
		return 0;
	}
	/* Not every kind of hypervisor can save. */
	if (saved < 0 && !(e && e->code == VIR_ERR_NO_SUPPORT))
		return explain(l, uuid, "look at", f);
	ret->saved = saved > 0;
	return 0;
}

int libvirt_running(struct libvirt *l, const char *uuid, struct failure *f)
{
	_cleanup_(domain_release) struct domain d = { 0 };
	int rc = domain_get(l, uuid, &d, f);

	if (rc)
		return rc;
	if (!d.handle)
		return 0;
	if (libvirt_state_runs(d.state))
		return 1;
	return d.saved ? explain_saved(uuid, f) : 0;
}

int libvirt_stop(struct libvirt *l, const char *uuid, struct failure *f)
{
	_cleanup_(domain_release) struct domain d = { 0 };
	struct failure why;
	int rc = domain_get(l, uuid, &d, f);

	if (rc)
		return rc;
	if (!d.handle || !libvirt_state_runs(d.state))
		return 0;
	if (libvirt_state_stuck(d.state))
		return explain_stuck(uuid, libvirt_state_stuck(d.state), f);
	if (!l->call.virDomainShutdown(d.handle))
		return 0;
	rc = explain(l, uuid, "shut down", &why);
	/* It may have gone down between the two. */
	if (!libvirt_running(l, uuid, NULL))
		return 0;
	return failure_set(f, (enum code)why.code, rc, "%s", why.text);
}

static int explain_unknown(const struct libvirt *l, const char *uuid, struct failure *f)
{
	return failure_set(f, CODE_FILE_NOT_FOUND, -ENOENT,
			   "Libvirt at \"%.100s\" knows no domain %s, the UUID of the VM's "
			   "relationship: define it there with that UUID (`virsh define`).",
			   l->uri, uuid);
}

/* 0: it can be started; 1: it runs. */
static int check_start(const struct domain *d, const char *uuid, struct failure *f)
{
	if (!d->handle)
		return explain_unknown(d->libvirt, uuid, f);
	if (libvirt_state_stuck(d->state))
		return explain_stuck(uuid, libvirt_state_stuck(d->state), f);
	if (d->state == VIR_DOMAIN_SHUTDOWN)
		return failure_set(f, CODE_INVALID_STATE, -EBADE,
				   "Domain %s is just shutting down: start it when it has.", uuid);
	if (libvirt_state_runs(d->state))
		return 1;
	return d->saved ? explain_saved(uuid, f) : 0;
}

int libvirt_off(struct libvirt *l, const char *uuid, struct failure *f)
{
	_cleanup_(domain_release) struct domain d = { 0 };
	int rc = domain_get(l, uuid, &d, f);

	if (!rc)
		rc = check_start(&d, uuid, f);
	return rc < 0 ? rc : !rc;
}

int libvirt_start(struct libvirt *l, const char *uuid, struct failure *f)
{
	_cleanup_(domain_release) struct domain d = { 0 };
	struct failure why;
	int rc = domain_get(l, uuid, &d, f);

	if (!rc)
		rc = check_start(&d, uuid, f);
	if (rc)
		return rc < 0 ? rc : 0;
	if (!l->call.virDomainCreate(d.handle))
		return 0;
	rc = explain(l, uuid, "start", &why);
	/* libvirt may have started it itself between the two. */
	if (libvirt_running(l, uuid, NULL) == 1)
		return 0;
	return failure_set(f, (enum code)why.code, rc, "%s", why.text);
}

int libvirt_autostart(struct libvirt *l, const char *uuid, struct failure *f)
{
	_cleanup_(domain_release) struct domain d = { 0 };
	int rc = domain_get(l, uuid, &d, f);
	int wanted;

	if (rc || !d.handle)
		return rc;
	if (l->call.virDomainGetAutostart(d.handle, &wanted))
		return explain(l, uuid, "look at", f);
	return wanted ? libvirt_start(l, uuid, f) : 0;
}

/* --- its definition --- */

int libvirt_xml(struct libvirt *l, const char *uuid, char **ret, struct failure *f)
{
	_cleanup_(domain_release) struct domain d = { 0 };
	int rc = domain_get(l, uuid, &d, f);
	char *xml;

	if (!rc && !d.handle)
		rc = explain_unknown(l, uuid, f);
	if (rc)
		return rc;
	xml = l->call.virDomainGetXMLDesc(d.handle, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
	if (!xml)
		return explain(l, uuid, "read the definition of", f);
	*ret = xml;
	return 0;
}

int libvirt_check_name(struct libvirt *l, const char *name, struct failure *f)
{
	_cleanup_(domain_release) struct domain d = { .libvirt = l };
	const virError *e;

	d.handle = l->call.virDomainLookupByName(l->connection, name);
	if (d.handle)
		return failure_set(f, CODE_IN_USE, -EEXIST,
				   "Libvirt at \"%.100s\" has another domain of the name \"%.100s\", with another "
				   "UUID: give one of them another name, here or on the primary.",
				   l->uri, name);
	e = l->call.virGetLastError();
	return e && e->code == VIR_ERR_NO_DOMAIN ? 0 : explain(l, name, "look for", f);
}

int libvirt_define(struct libvirt *l, const char *uuid, const char *xml, struct failure *f)
{
	_cleanup_(domain_release) struct domain d = { .libvirt = l };

	d.handle = l->call.virDomainDefineXML(l->connection, xml);
	return d.handle ? 0 : explain(l, uuid, "define", f);
}
