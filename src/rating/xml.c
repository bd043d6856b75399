/*
 * xml.c
 *		A small XML reader for documents from outside: elements, attributes and
 *		text, and nothing that can do harm.
 *
 * A DOCTYPE is refused, so there are no entities beyond the five that XML
 * predefines and nothing is ever fetched or expanded.  Depth, size and the
 * number of attributes are limited.  Every element knows its line, so that
 * what cannot be taken is refused with its place.
 */
#include "postgres.h"

#include <ctype.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "rating/card.h"

PG_FUNCTION_INFO_V1(pgcredit_xml_tree);

#define MAX_XML_BYTES (16 * 1024 * 1024)
#define MAX_XML_DEPTH 64
#define MAX_XML_ATTRIBUTES 64

typedef struct XmlReader
{
	const char *at;
	const char *end;
	int			line;
	int			depth;
	StringInfo	out;
} XmlReader;

static void read_element(XmlReader *x);

static void
xml_error(const XmlReader *x, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_PGCREDIT_PMML_REFUSED),
			 errmsg("line %d of the document: %s", x->line, what)));
}

static bool
looking_at(const XmlReader *x, const char *text)
{
	size_t		len = strlen(text);

	return (size_t) (x->end - x->at) >= len && memcmp(x->at, text, len) == 0;
}

static void
advance(XmlReader *x, size_t n)
{
	for (; n > 0 && x->at < x->end; n--)
		x->line += *x->at++ == '\n';
}

static void
skip_space(XmlReader *x)
{
	while (x->at < x->end && strchr(" \t\r\n", *x->at) != NULL && *x->at != '\0')
		advance(x, 1);
}

/*
 * Move past the next occurrence of the text; an error if there is none.
 * Returns where the text begins.
 */
static const char *
skip_past(XmlReader *x, const char *text, const char *what)
{
	while (x->at < x->end)
	{
		if (looking_at(x, text))
		{
			const char *found = x->at;

			advance(x, strlen(text));
			return found;
		}
		advance(x, 1);
	}
	xml_error(x, what);
	return NULL;				/* keep compiler quiet */
}

/*
 * A name, its prefix left out.
 */
static char *
read_name(XmlReader *x, bool *prefixed)
{
	const char *start = x->at;
	char	   *colon;
	char	   *name;

	while (x->at < x->end && (isalnum((unsigned char) *x->at) || IS_HIGHBIT_SET(*x->at) ||
							  (*x->at != '\0' && strchr("_-.:", *x->at) != NULL)))
		x->at++;
	if (x->at == start)
		xml_error(x, "a name is expected");
	name = pnstrdup(start, x->at - start);
	colon = strrchr(name, ':');
	*prefixed = colon != NULL || strcmp(name, "xmlns") == 0;
	return colon != NULL ? colon + 1 : name;
}

/*
 * "&lt;" and the like, and references to characters, appended to out.
 */
static void
read_reference(XmlReader *x, StringInfo out)
{
	static const struct
	{
		const char *text;
		char		character;
	}			known[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
	uint32		code = 0;
	int			base = 10;
	int			digits = 0;
	unsigned char bytes[MAX_UNICODE_EQUIVALENT_STRING + 1];

	for (int i = 0; i < (int) lengthof(known); i++)
	{
		if (looking_at(x, known[i].text))
		{
			appendStringInfoChar(out, known[i].character);
			x->at += strlen(known[i].text);
			return;
		}
	}
	if (!looking_at(x, "&#"))
		xml_error(x, "an entity that XML does not predefine");
	x->at += 2;
	if (looking_at(x, "x"))
	{
		base = 16;
		x->at++;
	}
	for (; x->at < x->end && isxdigit((unsigned char) *x->at) && digits < 8; x->at++, digits++)
	{
		int			digit = isdigit((unsigned char) *x->at) ? *x->at - '0' : (*x->at | 32) - 'a' + 10;

		if (digit >= base)
			xml_error(x, "a reference to no character");
		code = code * base + digit;
	}
	if (digits == 0 || !looking_at(x, ";") || !is_valid_unicode_codepoint(code) ||
		(code >= 0xD800 && code <= 0xDFFF) ||
		(code < 0x20 && code != '\t' && code != '\n' && code != '\r'))
		xml_error(x, "a reference to no character");
	x->at++;
	pg_unicode_to_server(code, bytes);
	appendStringInfoString(out, (char *) bytes);
}

static void
read_attributes(XmlReader *x)
{
	char	   *names[MAX_XML_ATTRIBUTES];
	int			n = 0;
	int			written = 0;

	appendStringInfoString(x->out, ",\"at\":{");
	for (;;)
	{
		const char *before = x->at;
		StringInfoData value;
		bool		prefixed;
		char	   *name;
		char		quote;

		skip_space(x);
		if (x->at >= x->end || *x->at == '>' || *x->at == '/')
			break;
		if (x->at == before)
			xml_error(x, "a space is missing");
		if (n == MAX_XML_ATTRIBUTES)
			xml_error(x, "too many attributes");
		name = read_name(x, &prefixed);
		skip_space(x);
		if (!looking_at(x, "="))
			xml_error(x, "\"=\" is expected");
		x->at++;
		skip_space(x);
		if (x->at >= x->end || (*x->at != '"' && *x->at != '\''))
			xml_error(x, "a quoted value is expected");
		quote = *x->at++;
		initStringInfo(&value);
		while (x->at < x->end && *x->at != quote)
		{
			if (*x->at == '<')
				xml_error(x, "\"<\" within a value");
			if (*x->at == '&')
				read_reference(x, &value);
			else
			{
				appendStringInfoChar(&value, strchr("\t\r\n", *x->at) != NULL ? ' ' : *x->at);
				advance(x, 1);
			}
		}
		if (x->at >= x->end)
			xml_error(x, "the document ends within a value");
		x->at++;
		if (prefixed)
			continue;
		for (int i = 0; i < n; i++)
		{
			if (strcmp(names[i], name) == 0)
				xml_error(x, "an attribute is given twice");
		}
		names[n++] = name;
		if (written++ > 0)
			appendStringInfoChar(x->out, ',');
		escape_json(x->out, name);
		appendStringInfoChar(x->out, ':');
		escape_json(x->out, value.data);
		pfree(value.data);
	}
	appendStringInfoChar(x->out, '}');
}

/*
 * Comments and processing instructions; false if there is none here.
 */
static bool
skip_other(XmlReader *x)
{
	if (looking_at(x, "<!--"))
	{
		advance(x, 4);
		skip_past(x, "-->", "the document ends within a comment");
		return true;
	}
	if (looking_at(x, "<?"))
	{
		skip_past(x, "?>", "the document ends within an instruction");
		return true;
	}
	return false;
}

/*
 * What stands between start and end tag; moves past the end tag.
 */
static void
read_content(XmlReader *x, const char *start, size_t start_len)
{
	StringInfoData text;
	int			children = 0;

	initStringInfo(&text);
	appendStringInfoString(x->out, ",\"children\":[");
	for (;;)
	{
		if (x->at >= x->end)
			xml_error(x, "the document ends within an element");
		if (looking_at(x, "</"))
			break;
		if (skip_other(x))
			continue;
		if (looking_at(x, "<![CDATA["))
		{
			const char *from;
			const char *to;

			advance(x, 9);
			from = x->at;
			to = skip_past(x, "]]>", "the document ends within CDATA");
			appendBinaryStringInfo(&text, from, to - from);
		}
		else if (*x->at == '<')
		{
			if (children++ > 0)
				appendStringInfoChar(x->out, ',');
			read_element(x);
		}
		else if (*x->at == '&')
			read_reference(x, &text);
		else
		{
			appendStringInfoChar(&text, *x->at);
			advance(x, 1);
		}
	}
	x->at += 2;
	if ((size_t) (x->end - x->at) < start_len || memcmp(x->at, start, start_len) != 0)
		xml_error(x, "an end tag does not fit its start tag");
	x->at += start_len;
	skip_space(x);
	if (!looking_at(x, ">"))
		xml_error(x, "an end tag does not fit its start tag");
	x->at++;
	appendStringInfoString(x->out, "],\"text\":");
	escape_json(x->out, text.data);
	pfree(text.data);
}

/*
 * An element as {"tag", "line", "at": {attributes}, "children": [], "text"}.
 */
static void
read_element(XmlReader *x)
{
	const char *start;
	size_t		start_len;
	bool		prefixed;

	CHECK_FOR_INTERRUPTS();
	if (looking_at(x, "<!"))
		xml_error(x, "a document type or entity declaration, which is not accepted");
	if (++x->depth > MAX_XML_DEPTH)
		xml_error(x, "elements are nested too deep");
	x->at++;
	start = x->at;
	appendStringInfoString(x->out, "{\"tag\":");
	escape_json(x->out, read_name(x, &prefixed));
	start_len = x->at - start;
	appendStringInfo(x->out, ",\"line\":%d", x->line);
	read_attributes(x);
	if (looking_at(x, "/>"))
	{
		x->at += 2;
		appendStringInfoString(x->out, ",\"children\":[],\"text\":\"\"");
	}
	else if (looking_at(x, ">"))
	{
		x->at++;
		read_content(x, start, start_len);
	}
	else
		xml_error(x, "a tag is not closed");
	appendStringInfoChar(x->out, '}');
	x->depth--;
}

/*
 * credit._xml_tree(document text) returns jsonb: the root element.  Raises
 * PC406 with the line for what is no XML or not accepted.
 */
Datum
pgcredit_xml_tree(PG_FUNCTION_ARGS)
{
	text	   *document = PG_GETARG_TEXT_PP(0);
	XmlReader	x = {0};

	x.at = VARDATA_ANY(document);
	x.end = x.at + VARSIZE_ANY_EXHDR(document);
	x.line = 1;
	x.out = makeStringInfo();
	if (VARSIZE_ANY_EXHDR(document) > MAX_XML_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_PMML_REFUSED),
				 errmsg("the document is larger than %d bytes", MAX_XML_BYTES)));
	if (looking_at(&x, "\xEF\xBB\xBF"))
		x.at += 3;
	do
		skip_space(&x);
	while (skip_other(&x));
	if (x.at >= x.end || *x.at != '<')
		xml_error(&x, "an element is expected");
	read_element(&x);
	do
		skip_space(&x);
	while (skip_other(&x));
	if (x.at < x.end)
		xml_error(&x, "something stands after the root element");
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(x.out->data)));
}
