// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A definition, or the XML of one, of any text: what is taken keeps to its bounds, and names nothing but what
 * another host may.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/definition.h"
#include "lib/domain_xml.h"

#include "fuzz.h"

static void check_definition(const char *text)
{
	struct definition d = { 0 };
	struct failure why = { 0 };

	if (definition_decode(text, &d, &why)) {
		CLAIM(why.code && why.text[0] && !d.xml && !d.nr_tpm);
		return;
	}
	CLAIM(d.xml && d.nvram.len <= DEFINITION_NVRAM_MAX && d.nr_tpm <= DEFINITION_TPM_MAX);
	for (size_t i = 0; i < d.nr_tpm; i++)
		CLAIM(definition_is_directory(d.tpm[i].directory) && definition_is_file(d.tpm[i].name) &&
		      !strchr(d.tpm[i].name, '/') && d.tpm[i].mode <= 0777);
	definition_clear(&d);
}

static void check_xml(const char *text)
{
	static const char *const devices[] = { "/dev/mapper/vm1-disk0" };
	struct failure why = { 0 };
	struct domain_xml x;

	if (domain_xml_check(text, devices, 1, &x, &why)) {
		CLAIM(why.code && why.text[0]);
		return;
	}
	CLAIM(x.name[0] && !uuid_is_nil(&x.uuid) && !strchr(x.name, '/'));
	CLAIM(!x.nvram[0] || (strncmp(x.nvram, DOMAIN_NVRAM, strlen(DOMAIN_NVRAM)) == 0 &&
			      !strchr(x.nvram + strlen(DOMAIN_NVRAM), '/')));
	CLAIM(!x.emulator[0] || strncmp(x.emulator, "/usr/", 5) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = text_of(data, size);

	check_definition(text);
	check_xml(text);
	free(text);
	return 0;
}
