// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * make_certificates DIRECTORY: ca.pem; {expired,ending,tomorrow,named}.{pem,key}, all by that CA; named is
 * a.example.
 */
#include "certificate.h"

#define YEAR (365 * 86400L)

static void make(const char *directory, const struct certificate *ca, const char *file, const char *name,
		 long from, long until)
{
	struct certificate own;
	char certificate[256];
	char key[256];

	certificate_make(&own, ca, name, from, until);
	(void)snprintf(certificate, sizeof(certificate), "%s/%s.pem", directory, file);
	(void)snprintf(key, sizeof(key), "%s/%s.key", directory, file);
	certificate_write(&own, certificate, key);
	certificate_clear(&own);
}

int main(int argc, char **argv)
{
	struct certificate ca;
	char path[256];

	if (argc != 2)
		return 2;
	certificate_make(&ca, NULL, "ca", -YEAR, YEAR);
	(void)snprintf(path, sizeof(path), "%s/ca.pem", argv[1]);
	certificate_write(&ca, path, NULL);
	make(argv[1], &ca, "expired", "a.example", -YEAR, -60);
	make(argv[1], &ca, "ending", "a.example", -YEAR, 20 * 86400L);
	make(argv[1], &ca, "tomorrow", "a.example", 86400, YEAR);
	make(argv[1], &ca, "named", "a.example", -YEAR, YEAR);
	certificate_clear(&ca);
	return 0;
}
