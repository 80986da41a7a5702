// Package filter is one way to say which log lines and spans are wanted, the same in the dashboard, in hanse logs and in hanse trace:
//
//	level:warn payment -timeout
//	service:cart,checkout "card declined" /order-\d+/
//	method:Payment/Charge duration>100ms status:error
//	user=alice items>=3 -region:eu-*
//
// [Parse] reads such a text, [Filter.Match] applies it to a [Record], and [Filter.Terms] is what it consists of, for who makes a query
// to a store of it.
//
// # Grammar
//
// A filter consists of terms with white space between them. All of them must match; an empty filter matches everything. A - before a
// term turns it around.
//
//	filter = { term }
//	term   = [ "-" ] ( text | field )
//	text   = word | quoted | regexp
//	field  = [ "@" ] name ( ":" | "=" ) value { "," value }
//	       | [ "@" ] name ( ">" | ">=" | "<" | "<=" ) value
//	value  = word | quoted | regexp
//	quoted = `"` text `"`, in which \" is a quote and \\ a backslash
//	regexp = "/" RE2 expression "/" [ "i" ], in which \/ is a slash
//	name   = a letter or _, then letters, digits and _ . - /
//
// A text matches a record in one of whose texts it is: of a log line its message and the values of its attributes, of a span its name,
// status and attributes. Capitals do not matter, except in a regular expression without an i behind it. What begins with / and has no
// other one before a space or the end is no regular expression but text, such as /healthz or /orders/7, and so is a URL. As the value of a
// field a regular expression has neither a space nor a comma in it: write \s and \x2c.
//
// A field matches when one of its values does. A value must be equal, where capitals do not matter and * stands for any text: field:*
// asks whether there is such a field, and -field:* whether there is none. In a quoted value a * is a *. Some fields have meanings of
// their own:
//
//	service, instance   who says it
//	level:warn          warn and what is worse; level=warn is that one alone; also < <= > >=.
//	                    The levels are trace, debug, info, warn, error, fatal, and those between, such as info+2
//	msg                 the message of a log line, the name of a span
//	method:S/M          of a call: the end of the full name pkg.S/M suffices, from a . or / on
//	status:error        error, refused (by a fault of the caller), ok or unset; or the code of gRPC or HTTP, such as NotFound, NOT_FOUND, 404; also status>=500
//	duration>100ms      with a unit
//	kind:server         server, client, producer, consumer, internal
//	trace:ID, span:ID   in hex; its first digits suffice
//
// Every other name is an attribute's, such as order=7 or http.route:/orders/*, and so are these names where a record has no such field.
// With an @ before it a name is always an attribute's: @level:3. A comparison is one of numbers, or with a unit one of durations; what is
// neither a number nor a duration does not match.
//
// A name that is nearly a field's, such as sevice, is a mistake; where an attribute is really called so, write @sevice.
package filter
