/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificates as a test wants them: by a CA or not, for any name and time. */
#ifndef FAILBACK_TESTS_CERTIFICATE_H
#define FAILBACK_TESTS_CERTIFICATE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <gnutls/x509.h>

struct certificate {
	gnutls_x509_crt_t crt;
	gnutls_x509_privkey_t key;
};

static inline void must(int rc)
{
	if (rc >= 0)
		return;
	(void)fprintf(stderr, "certificate: %s\n", gnutls_strerror(rc));
	abort();
}

/* @issuer: NULL: it signs itself, as a CA. @from, @until: seconds from now. */
static inline void certificate_make(struct certificate *ret, const struct certificate *issuer,
				    const char *name, long from, long until)
{
	static unsigned char serial;

	serial++;
	must(gnutls_x509_privkey_init(&ret->key));
	must(gnutls_x509_privkey_generate(ret->key, GNUTLS_PK_ECDSA,
					  GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
	must(gnutls_x509_crt_init(&ret->crt));
	must(gnutls_x509_crt_set_version(ret->crt, 3));
	must(gnutls_x509_crt_set_serial(ret->crt, &serial, 1));
	must(gnutls_x509_crt_set_activation_time(ret->crt, time(NULL) + from));
	must(gnutls_x509_crt_set_expiration_time(ret->crt, time(NULL) + until));
	must(gnutls_x509_crt_set_dn_by_oid(ret->crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
					   (unsigned int)strlen(name)));
	must(gnutls_x509_crt_set_subject_alt_name(ret->crt, GNUTLS_SAN_DNSNAME, name,
						  (unsigned int)strlen(name), GNUTLS_FSAN_SET));
	must(gnutls_x509_crt_set_basic_constraints(ret->crt, !issuer, -1));
	must(gnutls_x509_crt_set_key_usage(ret->crt, issuer ? GNUTLS_KEY_DIGITAL_SIGNATURE
							    : GNUTLS_KEY_KEY_CERT_SIGN |
								      GNUTLS_KEY_DIGITAL_SIGNATURE));
	must(gnutls_x509_crt_set_key(ret->crt, ret->key));
	must(gnutls_x509_crt_sign2(ret->crt, issuer ? issuer->crt : ret->crt,
				   issuer ? issuer->key : ret->key, GNUTLS_DIG_SHA256, 0));
}

static inline void certificate_clear(struct certificate *c)
{
	gnutls_x509_crt_deinit(c->crt);
	gnutls_x509_privkey_deinit(c->key);
}

static inline void certificate_put(const char *path, const gnutls_datum_t *pem)
{
	FILE *file = fopen(path, "w");

	if (!file || chmod(path, S_IRUSR | S_IWUSR) || fwrite(pem->data, pem->size, 1, file) != 1 ||
	    fclose(file))
		abort();
}

/* Either path may be NULL. */
static inline void certificate_write(const struct certificate *c, const char *certificate_path,
				     const char *key_path)
{
	gnutls_datum_t pem;

	if (certificate_path) {
		must(gnutls_x509_crt_export2(c->crt, GNUTLS_X509_FMT_PEM, &pem));
		certificate_put(certificate_path, &pem);
		gnutls_free(pem.data);
	}
	if (!key_path)
		return;
	must(gnutls_x509_privkey_export2(c->key, GNUTLS_X509_FMT_PEM, &pem));
	certificate_put(key_path, &pem);
	gnutls_free(pem.data);
}

#endif
