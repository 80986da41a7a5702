// Package redisevents keeps events in Redis, as streams. It is a module of its own, so that only programs that use it link Redis' client:
//
//	client := redis.NewClient(&redis.Options{Addr: "redis:6379"})
//	defer client.Close()
//	broker := redisevents.New(client, redisevents.Options{System: "shop"})
//	defer broker.Close()
//	app := &hanse.App{Broker: broker}
//
// The client may be one of a server, of a server and its replicas behind Sentinel, or of a cluster; users, passwords and TLS are its options.
// It needs Redis 7.0 or a later one.
//
// # What survives
//
// Redis answers when it has an event in its memory. Whether it has it on the disk, too, is up to its settings, and those it comes with would lose
// what was acknowledged before a crash. So Declare refuses a server that does not say
//
//	appendonly yes
//	appendfsync always
//
// With these an event that was acknowledged survives the end of the server's process and of its machine. With "appendfsync everysec" it
// survives that of the process, and what was acknowledged in the last second or two does not survive that of the machine. With Options.NoSync a server
// is taken as it is. Replicas get events after they were acknowledged, so one that takes over may lack the last of them;
// Limits.Replicas has Publish wait until so many servers have the event in their memory (not with a cluster).
//
// A server that was killed while it wrote cuts what it had half written off its file ("Truncating the AOF" in its log). Redis 7.0 may then store events twice
// that were not acknowledged yet, though Dedup should prevent that: an inbox does.
//
// A server that may evict keys for lack of memory (maxmemory-policy allkeys-…) is always refused. One that has reached its maxmemory
// refuses events, and Publish returns [events.ErrFull].
//
// # On the server
//
// The topic orders.placed of the system shop has these keys, which all belong to one slot of a cluster:
//
//	{shop:orders.placed}              the stream of the events without a key
//	{shop:orders.placed}:0 … :15      the streams of those with a key, of a topic that has keys: FNV-1a (32 bits) of the key, modulo 16
//	{shop:orders.placed}:topic        a hash: its limits, the last number, the bytes that it has
//	{shop:orders.placed}:due, :later  a sorted set and a hash of the events that are due later
//	{shop:orders.placed}:id:…         an event that was published lately; vanishes after Options.Dedup
//	{shop:orders.placed}:group:…      of a group: its mode, who is there, which partition is whose, what it holds
//	{shop:orders.placed}:groups       a set: the names of its groups
//	{shop:orders.placed}:waiting      is there when a member waits for events
//	{shop:orders.placed}:schema       a hash: the schema of its messages
//
// The set {shop:}:topics has the names of the topics.
//
// An entry has the attributes of CloudEvents in fields that begin with ce- (ce-specversion, ce-id, ce-source, ce-type, ce-time, ce-subject,
// ce-dataschema, ce-partitionkey, extensions), datacontenttype in the field content-type, the payload in the field data, and metadata, such as
// traceparent, in fields of their own names. Values are as they are, in UTF-8 and not encoded further. There is no binding of CloudEvents for Redis; this is the binary
// mode of HTTP and NATS. The field hanse-sequence is the event's number in the topic.
//
// So whatever speaks Redis can publish:
//
//	XADD {shop:orders.placed} * ce-specversion 1.0 ce-id 1 ce-source //billing ce-type orders.v1.Placed content-type application/json data {…}
//
// Such an event has no number, does not count for Limits.MaxBytes, is not told from another of the same ID, and is found within Options.Poll; with
// PUBLISH {shop:orders.placed}:topic ” at once. One with a key must go to the stream of its partition. Whatever speaks Redis can consume, too, with XREAD or a consumer
// group of its own. A consumer group of Hanse has one consumer, called hanse, whoever the members are; no other program should join it.
//
// The work that must be done at once is in Lua scripts, which are called by their hash. All times are the server's. A user of the server needs the rights
//
//	~{shop:* &{shop:* +@read +@write +@scripting +@pubsub +info +config|get +time +ping
//
// What is over Limits.MaxAge goes while a program that uses the topic runs: after a twentieth of that time, at least 1 s and at most 30 s; and at once
// where a limit would refuse an event. What a limit counts is the bytes of names and values of the fields; the server takes more memory.
package redisevents
