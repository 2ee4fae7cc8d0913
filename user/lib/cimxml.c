// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A table says which element may stand in which; the parser is the walk along it:
 *
 *	INSTANCE > PROPERTY > VALUE
 *	INSTANCE > PROPERTY.ARRAY > VALUE.ARRAY > VALUE
 *	QUALIFIER, in any of them, with all that is in it: skipped
 *
 * The first fault stops expat and is the one reported.
 */
#include "lib/cimxml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <expat.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "lib/settings.h"

#define DEPTH_MAX      8U
#define ATTRIBUTES_MAX 16U
#define PROPERTIES_MAX 256U
#define NAME_MAX_BYTES 128U

enum place {
	PLACE_OUTSIDE,
	PLACE_INSTANCE,
	PLACE_PROPERTY,
	PLACE_PROPERTY_ARRAY,
	PLACE_VALUE_ARRAY,
	PLACE_VALUE,
	PLACE_SKIPPED,
};

static const struct {
	enum place in;
	const char *element;
	enum place place;
} grammar[] = {
	{ PLACE_OUTSIDE, "INSTANCE", PLACE_INSTANCE },
	{ PLACE_INSTANCE, "PROPERTY", PLACE_PROPERTY },
	{ PLACE_INSTANCE, "PROPERTY.ARRAY", PLACE_PROPERTY_ARRAY },
	{ PLACE_INSTANCE, "QUALIFIER", PLACE_SKIPPED },
	{ PLACE_PROPERTY, "VALUE", PLACE_VALUE },
	{ PLACE_PROPERTY, "QUALIFIER", PLACE_SKIPPED },
	{ PLACE_PROPERTY_ARRAY, "VALUE.ARRAY", PLACE_VALUE_ARRAY },
	{ PLACE_PROPERTY_ARRAY, "QUALIFIER", PLACE_SKIPPED },
	{ PLACE_VALUE_ARRAY, "VALUE", PLACE_VALUE },
};

struct parser {
	XML_Parser expat;
	const char *class_name;
	cimxml_property_fn fn;
	void *context;
	int error;
	struct failure failure;

	enum place stack[DEPTH_MAX];
	unsigned int depth;
	unsigned int nr_properties;

	/* the property that is open */
	char name[NAME_MAX_BYTES];
	char type[NAME_MAX_BYTES];
	char *values[SETTINGS_ARRAY_MAX];
	size_t nr_values;
	char value[SETTINGS_VALUE_MAX + 1];
	size_t value_len;
};

#define fail(p, ...)                                                           \
	stop(p, failure_set(&(p)->failure, CODE_INCORRECT_DATA_TYPE, -EBADMSG, \
			    "The setting data " __VA_ARGS__))

static void stop(struct parser *p, int error)
{
	if (p->error)
		return;
	p->error = error;
	(void)XML_StopParser(p->expat, XML_FALSE);
}

static enum place place_now(const struct parser *p)
{
	return p->depth ? p->stack[p->depth - 1] : PLACE_OUTSIDE;
}

static const char *attribute(const char **attributes, const char *name)
{
	for (; *attributes; attributes += 2) {
		if (strcmp(attributes[0], name) == 0)
			return attributes[1];
	}
	return NULL;
}

static bool attributes_are_bounded(const char **attributes)
{
	unsigned int nr = 0;

	for (; *attributes; attributes += 2)
		nr++;
	return nr <= ATTRIBUTES_MAX;
}

static enum place place_of(enum place in, const char *element)
{
	if (in == PLACE_SKIPPED)
		return PLACE_SKIPPED;
	for (size_t i = 0; i < ARRAY_SIZE(grammar); i++) {
		if (grammar[i].in == in && strcmp(grammar[i].element, element) == 0)
			return grammar[i].place;
	}
	return PLACE_OUTSIDE;
}

static void begin_instance(struct parser *p, const char **attributes)
{
	const char *class_name = attribute(attributes, "CLASSNAME");

	/* CIM class names are not case-sensitive. */
	if (!class_name || strcasecmp(class_name, p->class_name) != 0)
		fail(p, "must be an instance of %s, not of \"%.64s\".", p->class_name,
		     class_name ? class_name : "");
}

static void begin_property(struct parser *p, const char **attributes)
{
	const char *name = attribute(attributes, "NAME");
	const char *type = attribute(attributes, "TYPE");

	if (!name || !type || !name[0] || strlen(name) >= sizeof(p->name) ||
	    strlen(type) >= sizeof(p->type)) {
		fail(p, "has a property without NAME or TYPE, or with one that is too long.");
		return;
	}
	if (++p->nr_properties > PROPERTIES_MAX) {
		fail(p, "has more than %u properties.", PROPERTIES_MAX);
		return;
	}
	(void)snprintf(p->name, sizeof(p->name), "%s", name);
	(void)snprintf(p->type, sizeof(p->type), "%s", type);
}

static void on_start(void *context, const char *element, const char **attributes)
{
	struct parser *p = context;
	enum place place = place_of(place_now(p), element);

	if (place == PLACE_OUTSIDE)
		fail(p, "has an element <%.64s> where none is allowed.", element);
	else if (p->depth == DEPTH_MAX)
		fail(p, "is nested deeper than %u elements.", DEPTH_MAX);
	else if (!attributes_are_bounded(attributes))
		fail(p, "has an element with more than %u attributes.", ATTRIBUTES_MAX);
	if (p->error)
		return;
	p->stack[p->depth++] = place;
	if (place == PLACE_INSTANCE)
		begin_instance(p, attributes);
	else if (place == PLACE_PROPERTY || place == PLACE_PROPERTY_ARRAY)
		begin_property(p, attributes);
	else if (place == PLACE_VALUE)
		p->value_len = 0;
}

static void end_value(struct parser *p)
{
	size_t max = p->stack[p->depth - 1] == PLACE_PROPERTY ? 1 : SETTINGS_ARRAY_MAX;

	if (p->nr_values >= max) {
		fail(p, "has more values in property %s than it may.", p->name);
		return;
	}
	p->value[p->value_len] = '\0';
	p->values[p->nr_values] = strdup(p->value);
	if (!p->values[p->nr_values]) {
		stop(p, failure_no_memory(&p->failure));
		return;
	}
	p->nr_values++;
}

static void clear_values(struct parser *p)
{
	while (p->nr_values)
		free(p->values[--p->nr_values]);
}

static void end_property(struct parser *p, bool array)
{
	int rc = 0;

	if (strncmp(p->name, "__", 2) != 0)
		rc = p->fn(p->context, p->name, p->type, array, (const char *const *)p->values,
			   p->nr_values, &p->failure);
	clear_values(p);
	if (rc)
		stop(p, rc);
}

static void on_end(void *context, const char *element)
{
	struct parser *p = context;
	enum place place;

	(void)element;
	if (p->error)
		return;
	place = p->stack[--p->depth];
	if (place == PLACE_VALUE)
		end_value(p);
	else if (place == PLACE_PROPERTY || place == PLACE_PROPERTY_ARRAY)
		end_property(p, place == PLACE_PROPERTY_ARRAY);
}

static bool is_blank(const char *text, size_t len)
{
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	return len == 0;
}

static void on_text(void *context, const char *text, int len)
{
	struct parser *p = context;

	if (p->error || place_now(p) == PLACE_SKIPPED)
		return;
	if (place_now(p) != PLACE_VALUE) {
		if (!is_blank(text, (size_t)len))
			fail(p, "has text outside of a VALUE.");
		return;
	}
	if ((size_t)len > SETTINGS_VALUE_MAX - p->value_len) {
		fail(p, "has a value of more than %u characters in property %s.",
		     SETTINGS_VALUE_MAX, p->name);
		return;
	}
	memcpy(p->value + p->value_len, text, (size_t)len);
	p->value_len += (size_t)len;
}

static void on_doctype(void *context, const char *name, const char *system_id,
		       const char *public_id, int has_internal_subset)
{
	struct parser *p = context;

	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_internal_subset;
	fail(p, "has a document type declaration, which is not allowed.");
}

static void free_parser_at(struct parser **p)
{
	if (!*p)
		return;
	clear_values(*p);
	XML_ParserFree((*p)->expat);
	free(*p);
}

int cimxml_parse(const char *text, const char *class_name, cimxml_property_fn fn, void *context,
		 struct failure *f)
{
	_cleanup_(free_parser_at) struct parser *p = calloc(1, sizeof(*p));
	size_t len = strlen(text);

	if (len > SETTINGS_TEXT_MAX)
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EMSGSIZE,
				   "The setting data has %zu bytes; at most %u are accepted.", len,
				   SETTINGS_TEXT_MAX);
	/* The bus carries UTF-8, whatever a prolog that was written for UTF-16 says. */
	if (p)
		p->expat = XML_ParserCreate("UTF-8");
	if (!p || !p->expat)
		return failure_no_memory(f);
	p->class_name = class_name;
	p->fn = fn;
	p->context = context;
	XML_SetUserData(p->expat, p);
	XML_SetElementHandler(p->expat, on_start, on_end);
	XML_SetCharacterDataHandler(p->expat, on_text);
	XML_SetStartDoctypeDeclHandler(p->expat, on_doctype);
	if (XML_Parse(p->expat, text, (int)len, XML_TRUE) == XML_STATUS_OK)
		return 0;
	if (p->error)
		return failure_set(f, (enum code)p->failure.code, p->error, "%s", p->failure.text);
	return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EBADMSG,
			   "The setting data is not well-formed XML: line %lu, column %lu: %s.",
			   XML_GetCurrentLineNumber(p->expat), XML_GetCurrentColumnNumber(p->expat),
			   XML_ErrorString(XML_GetErrorCode(p->expat)));
}

/* --- writing --- */

static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			(void)fputs("&amp;", out);
			break;
		case '<':
			(void)fputs("&lt;", out);
			break;
		case '>':
			(void)fputs("&gt;", out);
			break;
		default:
			(void)fputc((unsigned char)*text < 0x20 ? ' ' : *text, out);
		}
	}
}

static void put_property(FILE *out, const char *name, const char *type, const char *value)
{
	(void)fprintf(out, "<PROPERTY NAME=\"%s\" TYPE=\"%s\"><VALUE>", name, type);
	put_escaped(out, value);
	(void)fputs("</VALUE></PROPERTY>", out);
}

char *cimxml_error(const struct failure *why)
{
	char number[16];
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	(void)snprintf(number, sizeof(number), "%u", why->code);
	(void)fputs("<INSTANCE CLASSNAME=\"Msvm_Error\">", out);
	put_property(out, "Message", "string", why->text);
	put_property(out, "MessageID", "string", number);
	put_property(out, "OwningEntity", "string", "failback");
	put_property(out, "ErrorSource", "string", code_name(why->code));
	put_property(out, "ErrorSourceFormat", "uint16", "0");
	put_property(out, "PerceivedSeverity", "uint16", "5");
	(void)fputs("</INSTANCE>", out);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
