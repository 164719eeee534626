// Package dynamodb joins the hubs of several nodes by one table of Amazon DynamoDB,
// see [New], and keeps the connections of programs that have no process which lives as
// long as a connection does, such as functions behind an API Gateway, see [NewStore].
//
// DynamoDB tells nobody that something has come: nodes with subscribers ask for it.
// Between functions, and for a few nodes with little traffic beside them, that is
// cheap and there is nothing to run. Programs whose nodes live long and carry much are
// better off with Redis, NATS or PostgreSQL, by money and by time; see below.
//
// # The table
//
// It has a partition key pk and a sort key sk, both binary, and a time to live in the
// attribute ends, a number of seconds. There is no index. By a template:
//
//	Type: AWS::DynamoDB::Table
//	Properties:
//	  BillingMode: PAY_PER_REQUEST
//	  AttributeDefinitions:
//	    - {AttributeName: pk, AttributeType: B}
//	    - {AttributeName: sk, AttributeType: B}
//	  KeySchema:
//	    - {AttributeName: pk, KeyType: HASH}
//	    - {AttributeName: sk, KeyType: RANGE}
//	  TimeToLiveSpecification: {AttributeName: ends, Enabled: true}
//
// [CreateTable] makes the same for tests. Names stand in keys as they are, after
// two bytes that say of what kind they are. DynamoDB removes what has ended hours or
// days later: it is left out of all that is read before that.
//
//	pk             sk        other attributes                                what                                   how long
//	r#ID           -         d: data, v: version                             a record of a store                    as it was said
//	g#GROUP        MEMBER                                                    a member of a group of a store         as it was said
//	t#TOPIC        -         ep: epoch, o: offset, b: the last events        the head of a topic                    48 h after it was used, and longer than its events
//	e#EPOCHTOPIC   offset    b: the events up to this offset                 the log of a topic                     3 min, or the TTL of a Recoverable topic
//	k#EPOCHTOPIC   =KEY      o: offset, b: the event                         the newest event of a key              24 h
//	b#NAME         n         d: a part of up to 350 KiB                      an event of more than 1.5 KB           as long as the event
//	i#DIGEST       -         ep, o: when it was new, u: until when, in ms    an ID that may have been published     5 min, known for 138 s
//	o              OWNER     t: which lease, u: until when, in ms            a lease                                1 min after it has ended
//	n#GROUP        DIGEST    m: member, w: owner, v: value, t, u             an entry of a group                    36 h, renewed while its lease lasts, or as it was said
//	v#KEY          -         v: value, u: until when, in ms                  what Keep keeps                        as it was said
//
// Versions of records are drawn from 2^63 numbers, so that one that was removed needs
// no trace. A group is one partition, also a large one: DynamoDB spreads one with many
// members over several servers by itself, since sort keys of members have no order in
// time and there is no local index. Spreading it here would make of each small group,
// and most are small, as many queries as there are parts.
//
// Writes have conditions at most: there are no transactions, which cost twice as much.
// Reads are strongly consistent, but for the looks for events.
//
// # How an event is published
//
// The head of a topic holds its last events themselves. Who publishes reads it (or
// remembers it), writes the events in it to the log, and then writes the head anew
// with its own events and their offsets, on the condition that it is still the same.
// That last write publishes. A process that is killed before it has published nothing,
// and one that is killed after it has left nothing to do: there are no offsets without
// events, and nobody waits for anybody. Who finds the condition false begins again.
// What waits for a topic in one process goes out together, up to 3 KB of it.
//
// Whether an ID was published is looked up in the events that followed since it was
// first seen, so an attempt that died in the middle is not taken for a publication.
//
// # What is promised
//
// An event is published when DynamoDB has it in several data centres. Epochs end when
// the table is another one: who restores a backup gives it another name, which begins
// other epochs of all topics by itself. A table of the same name that has an older
// state, after the former one was deleted, is not noticed: remove the items t# of it.
// A global table is written in one of its regions only, for conditions hold in a region.
//
// DynamoDB tells no time: all times are those of the processes, whose clocks differ
// by less than a second. AWS sees to that on its machines.
//
// # What it costs, in time and money
//
// An event that is published here is delivered here at once, and on other nodes when
// they look: Options.Poll after an event, 250 ms, up to 8 times as long after a time
// in which nothing came. Publishing takes two or three calls one after another, some
// 5 ms each on AWS: one more with an ID, and one for an event of more than 1.5 KB. So a
// topic takes about 100 batches in a second, whoever publishes.
//
// By the prices of us-east-1 in 2025, paid by request: a look costs half a read unit
// for each topic, $0.0625 for a million. So a node with 1,000 topics that are quiet pays
// $2.70 a day for them, and with 1,000 in which something comes all the time $21.60. An
// event of up to 1.5 KB costs two to five write units, with an ID one more, so a million
// of them $1.25 to $4; one of a megabyte costs a thousand. A key of a Latest topic costs
// one more. What ends costs nothing: that of Recoverable topics which keep events for
// more than a day is removed when there are too many, for the price of a write each.
//
// # What is bounded
//
// Publications that wait: 64 MiB of them, beyond which Publish returns [ErrFull]. An
// event has 16 MiB at most, a record 398 KiB. What is read of a topic at once is about
// a megabyte. Calls that DynamoDB refuses for want of capacity are made again by the
// client, as it is set, and end with the context that they were given.
//
// # What a role needs to be allowed
//
// On the table: dynamodb:GetItem, BatchGetItem, PutItem, DeleteItem and Query, and for
// an engine, as opposed to a store, UpdateItem and BatchWriteItem. Who calls
// [CreateTable] needs CreateTable, DescribeTable, UpdateTimeToLive and
// DescribeTimeToLive.
package dynamodb
