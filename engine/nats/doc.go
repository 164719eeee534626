// Package nats joins the hubs of several nodes by NATS: core NATS carries events,
// JetStream keeps them and gives them their order.
//
// [New] uses servers that are there, of version 2.11 or newer with JetStream.
// [Embedded] makes each node a server: three of them are a cluster that needs no
// other software.
//
// # What is where
//
// All names begin with Options.Prefix, "kanava" here. Names of topics stand in
// subjects as they are if they are of letters, digits and -_:/@,+~, and as = with
// base64url otherwise. TOPIC, KEY, GROUP, MEMBER and OWNER are such tokens.
//
//	stream                     subject                               what
//	kanava_ordered_EPOCH       kanava.keep.ordered.TOPIC             the last event of each Ordered topic, for 25 h, for its position
//	kanava_lastNofTms_EPOCH    kanava.keep.lastNofTms.TOPIC          the last N+1 events of each Recoverable(N, T) topic, for T and 25 h
//	kanava_latest_EPOCH        kanava.keep.latest.TOPIC.KEY          the last event of each key of Latest topics, for 49 h
//	kanava_registry_EPOCH      kanava.registry.lease.OWNER           when a node's lease ends
//	                           kanava.registry.entry.GROUP.MEMBER.OWNER  who is there
//	                           kanava.registry.value.KEY             what Keep keeps, for its time
//	                           kanava.live.TOPIC                     events for those that are subscribed; nothing is kept
//	                           kanava.check.*, kanava.probe.*        questions to streams, and to oneself
//	kanava_turns               kanava.turn.*                         who is making a stream, where a server is in no cluster
//
// A stream is made when it is first needed, one for each retention that programs
// use. Its RePublish sends what it has stored to kanava.live. Readers do not get
// events that are kept for longer than they should be: these are there because
// the position of a topic has to outlive its events. The last token of a stream's
// name is the epoch of its topics, and the sequence of a message is its offset:
// offsets of a topic have holes. Deleting a stream begins another epoch. So does an
// engine that finds that a stream has lost what it had stored. To restore a backup,
// restore it under another epoch.
//
// What a node has left in the registry is removed a minute after its lease, by any
// other node.
//
// # What is promised
//
// An event is published when the stream's leader says so; with three replicas,
// two have it then. A single server whose machine loses power may lose what it has
// not written to its disk (sync_interval in its configuration); so may a cluster of
// which most lose power at once. Nodes that were connected find out. After 25 h
// without an event a topic's position is forgotten, except by nodes that are
// subscribed: it is 0 then, in the same epoch. Who reads from the position that was
// is told that something may be lost.
//
// Leases, and times for which something is kept, go by the servers' clocks, which
// have to agree (NTP): a lease is as exact as they are.
//
// What waits in a node is bounded: 32 MiB to be sent, after which callers wait, and
// about 64 MiB to be delivered, after which nothing more is read; a server gives up
// a connection that is not read (max_pending, write_deadline), and the hub is told
// when there is another. A connection that answers no ping is given up after 10 to
// 15 s.
//
// An event, with its headers, must fit into the servers' max_payload, which is 1 MiB
// unless they are told otherwise, and 8 MiB of an embedded server.
//
// Servers need to be one cluster: gateways and leaf nodes between the nodes are
// not supported, as subscriptions are not confirmed across them.
//
// # What a user needs to be allowed
//
// To publish: kanava.>, _INBOX.> (for the answers of message traces), and of
// JetStream's API
//
//	$JS.API.STREAM.NAMES
//	$JS.API.STREAM.CREATE.*  $JS.API.STREAM.INFO.*  $JS.API.STREAM.PURGE.*  $JS.API.STREAM.DELETE.*
//	$JS.API.DIRECT.GET.*
//
// To subscribe: kanava.>, _INBOX.> and $JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.*.
package nats
