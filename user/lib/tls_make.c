// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/tls_make.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/x509.h>

#include "base/cleanup.h"
#include "lib/put_file.h"

#define DAY	     86400
#define VALID_DAYS   3650
#define X509_VERSION 3

static void free_gnutls_at(gnutls_datum_t *data)
{
	gnutls_free(data->data);
}

static int explain(int rc, struct failure *f)
{
	return failure_set(f, CODE_FAILED, -EIO, "Cannot make a certificate: %s.",
			   gnutls_strerror(rc));
}

static int make_key(const char *path, gnutls_x509_privkey_t key, struct failure *f)
{
	_cleanup_(free_gnutls_at) gnutls_datum_t pem = { 0 };
	unsigned int curve = GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1);
	int rc = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, curve, 0);

	if (rc >= 0)
		rc = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL,
						       GNUTLS_PKCS_PLAIN, &pem);
	return rc < 0 ? explain(rc, f) : put_file(path, S_IRUSR | S_IWUSR, pem.data, pem.size, f);
}

static int load_or_make_key(const char *path, gnutls_x509_privkey_t key, struct failure *f)
{
	_cleanup_(free_gnutls_at) gnutls_datum_t pem = { 0 };
	int rc;

	if (access(path, F_OK) < 0 && errno == ENOENT)
		return make_key(path, key, f);
	rc = gnutls_load_file(path, &pem);
	if (rc >= 0)
		rc = gnutls_x509_privkey_import2(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
	return rc < 0 ? failure_set(f, CODE_FAILED, -EIO, "Cannot read the key %s: %s.", path,
				    gnutls_strerror(rc))
		      : 0;
}

/* From yesterday on: the peer's clock may be a little behind. */
static int fill_certificate(gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key,
			    const char *name)
{
	time_t now = time(NULL);
	uint8_t serial[16];
	int rc = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));

	serial[0] &= 0x7f; /* a positive number */
	if (rc >= 0)
		rc = gnutls_x509_crt_set_version(certificate, X509_VERSION);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_serial(certificate, serial, sizeof(serial));
	if (rc >= 0)
		rc = gnutls_x509_crt_set_activation_time(certificate, now - DAY);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_expiration_time(certificate, now + (time_t)VALID_DAYS * DAY);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, name,
						   (unsigned int)strlen(name));
	if (rc >= 0)
		rc = gnutls_x509_crt_set_key(certificate, key);
	if (rc >= 0)
		rc = gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_DIGITAL_SIGNATURE);
	return rc < 0 ? rc : gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0);
}

static int make_certificate(const char *path, gnutls_x509_privkey_t key, const char *name,
			    struct failure *f)
{
	_cleanup_(free_gnutls_at) gnutls_datum_t pem = { 0 };
	gnutls_x509_crt_t certificate;
	int rc = gnutls_x509_crt_init(&certificate);

	if (rc < 0)
		return explain(rc, f);
	rc = fill_certificate(certificate, key, name);
	if (rc >= 0)
		rc = gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &pem);
	gnutls_x509_crt_deinit(certificate);
	return rc < 0 ? explain(rc, f)
		      : put_file(path, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH, pem.data,
			       pem.size, f);
}

int tls_identity_make(const char *certificate_path, const char *key_path, const char *name,
		      struct failure *f)
{
	gnutls_x509_privkey_t key;
	int rc = gnutls_x509_privkey_init(&key);

	if (rc < 0)
		return explain(rc, f);
	rc = load_or_make_key(key_path, key, f);
	if (!rc)
		rc = make_certificate(certificate_path, key, name, f);
	gnutls_x509_privkey_deinit(key);
	return rc;
}
