// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <gnutls/abstract.h>

#include "base/cleanup.h"
#include "lib/tls_private.h"

bool tls_fingerprint_of(gnutls_x509_crt_t certificate, uint8_t ret[FINGERPRINT_BYTES])
{
	size_t len = FINGERPRINT_BYTES;

	return gnutls_x509_crt_get_key_id(certificate, GNUTLS_KEYID_USE_SHA256, ret, &len) == 0 &&
	       len == FINGERPRINT_BYTES;
}

struct validity tls_validity_of(const gnutls_x509_crt_t *chain, unsigned int nr)
{
	struct validity all = { .from_s = 0, .until_s = nr ? INT64_MAX : -1 };

	for (unsigned int i = 0; i < nr; i++) {
		time_t from = gnutls_x509_crt_get_activation_time(chain[i]);
		/* What cannot be read is (time_t)-1: of no time, the end being long ago. */
		struct validity one = { from == (time_t)-1 ? INT64_MAX : from,
					gnutls_x509_crt_get_expiration_time(chain[i]) };

		validity_narrow(&all, &one);
	}
	return all;
}

/* Whoever can read the key is this host. */
static int check_key_file(const char *path, struct failure *f)
{
	struct stat file;

	if (stat(path, &file) < 0 && errno == ENOENT)
		return failure_set(f, CODE_FILE_NOT_FOUND, -ENOENT,
				   "This host has no certificate: there is no %s. `failback host init` "
				   "makes one.",
				   path);
	if (stat(path, &file) < 0)
		return failure_set(f, code_of_errno(errno), -errno, "Cannot use %s: %s.", path,
				   strerror(errno));
	if (file.st_mode & (S_IRWXG | S_IRWXO))
		return failure_set(f, CODE_ACCESS_DENIED, -EPERM,
				   "%s may be read by others than its owner: chmod 600 it, or make a "
				   "new key if it was seen.",
				   path);
	return 0;
}

static int load_ca(const char *path, gnutls_x509_trust_list_t *ret, struct failure *f)
{
	int nr;

	if (!path[0])
		return 0;
	if (gnutls_x509_trust_list_init(ret, 0) < 0)
		return failure_no_memory(f);
	nr = gnutls_x509_trust_list_add_trust_file(*ret, path, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
	if (nr <= 0)
		return failure_set(f, CODE_FAILED, -EINVAL,
				   "Cannot read a CA's certificate from %s: %s; see the setting tls-ca.",
				   path, nr ? gnutls_strerror(nr) : "it holds none");
	return 0;
}

static int load_own(const struct tls_files *files, struct tls_identity *id, struct failure *f)
{
	uint8_t fingerprint[FINGERPRINT_BYTES];
	gnutls_x509_crt_t *chain = NULL;
	unsigned int nr = 0;
	bool known = false;
	int rc;

	rc = gnutls_certificate_set_x509_key_file2(id->credentials, files->certificate, files->key,
						   GNUTLS_X509_FMT_PEM, NULL, 0);
	if (rc < 0)
		return failure_set(f, CODE_FAILED, -EINVAL,
				   "Cannot use the certificate %s with the key %s: %s.",
				   files->certificate, files->key, gnutls_strerror(rc));
	if (gnutls_certificate_get_x509_crt(id->credentials, 0, &chain, &nr) == 0) {
		known = nr && tls_fingerprint_of(chain[0], fingerprint);
		id->validity = tls_validity_of(chain, nr);
		for (unsigned int i = 0; i < nr; i++)
			gnutls_x509_crt_deinit(chain[i]);
		gnutls_free(chain);
	}
	if (!known)
		return failure_set(f, CODE_FAILED, -EINVAL, "Cannot read the key of %s.",
				   files->certificate);
	(void)fingerprint_format(fingerprint, id->fingerprint);
	return 0;
}

int tls_identity_load(const struct tls_files *files, struct tls_identity *ret, struct failure *f)
{
	_cleanup_(tls_identity_clear) struct tls_identity id = { 0 };
	int rc = check_key_file(files->key, f);

	if (rc)
		return rc;
	if (gnutls_certificate_allocate_credentials(&id.credentials) < 0)
		return failure_no_memory(f);
	rc = load_own(files, &id, f);
	if (!rc)
		rc = load_ca(files->ca, &id.ca, f);
	if (rc)
		return rc;
	*ret = id;
	id = (struct tls_identity){ 0 };
	return 0;
}

void tls_identity_clear(struct tls_identity *id)
{
	if (id->credentials)
		gnutls_certificate_free_credentials(id->credentials);
	if (id->ca)
		gnutls_x509_trust_list_deinit(id->ca, 1);
	*id = (struct tls_identity){ 0 };
}

int tls_identity_show(const struct tls_files *files, char ret[FINGERPRINT_TEXT_MAX],
		      struct failure *f)
{
	_cleanup_(tls_identity_clear) struct tls_identity id = { 0 };
	int rc = tls_identity_load(files, &id, f);

	if (!rc)
		(void)memcpy(ret, id.fingerprint, sizeof(id.fingerprint));
	return rc;
}

int tls_identity_validity(const struct tls_files *files, struct validity *ret, struct failure *f)
{
	_cleanup_(tls_identity_clear) struct tls_identity id = { 0 };
	int rc = tls_identity_load(files, &id, f);

	if (!rc)
		*ret = id.validity;
	return rc;
}
