// SPDX-License-Identifier: GPL-2.0-or-later
/* Settings of any text, CIM-XML or JSON: what is taken is said again and taken to be the same. */
#include <stdlib.h>
#include <string.h>

#include "lib/settings.h"

#include "fuzz.h"

/* What is set, as JSON; NULL: the text is refused, with a sentence. */
static char *said_again(const char *text)
{
	struct settings settings = { 0 };
	struct failure why = { 0 };
	char *json = NULL;

	if (settings_parse(text, &settings, &why)) {
		CLAIM(why.text[0]);
		CLAIM(why.code == CODE_INCORRECT_DATA_TYPE || why.code == CODE_INVALID_PARAMETER ||
		      why.code == CODE_NOT_SUPPORTED);
	} else {
		json = settings_to_json(&settings);
		CLAIM(json);
	}
	settings_clear(&settings);
	return json;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = text_of(data, size);
	char *json = said_again(text);
	char *again = json ? said_again(json) : NULL;

	CLAIM(!json || (again && strcmp(json, again) == 0));
	free(again);
	free(json);
	free(text);
	return 0;
}
