// Package kafkaevents keeps events on Apache Kafka, with the client franz-go. A program that has a Kafka gives it to its App:
//
//	broker := kafkaevents.New(kafkaevents.Options{Brokers: []string{"kafka-1:9092"}, System: "shop"})
//	defer broker.Close()
//	app := &hanse.App{Broker: broker}
//
// Options.Opts are options of franz-go for all its clients, such as kgo.SASL(scram.Auth{…}.AsSha512Mechanism()) and kgo.DialTLSConfig(…).
//
// Tests run against kfake, the fake of Kafka that comes with franz-go. No test has run against a real Kafka.
//
// # On Kafka
//
// The topic orders.placed of the system shop is the topic shop.orders.placed, and its group mailer the consumer group
// shop.orders.placed:mailer; Options says otherwise. A topic is made with 16 partitions, on three brokers where there are three
// (and then min.insync.replicas is 2), MaxAge as retention.ms and MaxSize as max.message.bytes. Events are records in the binary mode of
// CloudEvents, with the key as the record's key, spread over the partitions as Kafka's own clients do. A [Codec] reads and writes records of
// another form, so that topics of other programs ([Topic.Foreign]) can be used.
//
// An event is acknowledged when all replicas that are in sync have it. Kafka does not write it to the disk before that, unless the topic's
// flush.messages is 1: it trusts in that not all of these machines crash at once.
//
// What the messages of topics look like is kept in a topic of its own, SYSTEM._schemas, so that a type that breaks what a topic carries is refused.
//
// # Groups
//
// Each partition belongs to one member of a group at a time, so a group has at most as many members at work as the topic has partitions.
// When members come and go only the partitions that move pause, and each of them until what is in hand of it is finished
// ([Options.HandOver]). A member that is silent loses its partitions ([Options.Session]); what it commits then is refused. One that was frozen or cut off for
// longer may begin a handler with what it had fetched, although others have it, until the cluster has told it so.
//
// Kafka knows a group's position in a partition, not single events. A member commits the first event that is not settled, and with it (in the
// metadata of the commit) which of those behind it are, and how often the others were delivered. So an event that takes long, or is
// waiting to be handled again, holds up nothing behind it, and what was settled is not delivered again when another member takes over. A member
// that crashes has not committed what it did in the last 200 ms ([Options.CommitEvery]); that is delivered again. Another program that
// commits to the group is believed its offsets.
//
// What is to be handled again later is kept by the member, and goes at once to the next one when it leaves. A member that has 4096 of these takes
// no new events until there are fewer.
//
// # What Kafka cannot do
//
// It delivers no event at a time (events.Delayed is an error of the declaration), keeps a second event with the same ID, has no
// number for events that goes through a topic (a group cannot begin with one; Event.Sequence is 0), and drops the oldest by age and bytes, not by
// their number. It refuses no event because a topic is full: without DropOldest nothing is dropped before its age, and the topic may get larger than
// MaxBytes and MaxMessages. With DropOldest MaxBytes is divided among the partitions, and whole segments are dropped.
package kafkaevents
