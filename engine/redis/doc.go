// Package redis joins the hubs of several nodes by Redis, from version 7 on: one
// server, one that sentinels look after, or a cluster. [New] says which.
//
// # What is where
//
// All names begin with Options.Prefix, which is "kanava:" here, and in a database
// other than 0 with the number of that, as "kanava:db3:". Names of topics, groups
// and keys stand in them as they are, but for control characters, spaces, braces,
// % and what is not ASCII, which become %XX.
//
//	key                      type         what                                               how long
//	kanava:{TOPIC}           hash         the position of a topic                            25 h after it was used last; longer than its events
//	kanava:{TOPIC}:s         stream       the last events of a Recoverable topic             their time to live, and half an hour at most
//	kanava:{TOPIC}:k, :z     hash, zset   the newest event of each key of a Latest topic     24 h, and half an hour at most
//	kanava:{TOPIC}:i:ID      string       a publication with an ID                           2 min
//	kanava:owners            hash         the leases of nodes                                2 h after the last one
//	kanava:g{GROUP}          hash         entries of a group                                 3 h after it was used last
//	kanava:k{KEY}            string       what Keep keeps                                    its time
//	kanava:c{ID}             string       a record of a connection, after its version        its time
//	kanava:m{GROUP}          zset         members of a group, by when they end               as the last of them
//
// Events come by the channel kanava:{TOPIC} of sharded pub/sub, also where there
// is no cluster, and what Probe sends by kanava:probe{ENGINE:N}. A script keeps an
// event and then sends it, as one step. A node has one connection to each server
// for commands, and one by which events come.
//
// A Recoverable topic keeps some events more than its Size: the server drops
// them a hundred at a time.
//
// # What is promised
//
// An event is published when the server has it in its memory. What a server has
// not written to its disk when it dies, or not sent to the replica that takes its
// place, is lost. So each start of a server, and each replica that becomes a
// master, ends the epochs of all topics: the script sees it by the server's
// replication id, which is other then. Who asks for what followed a position is
// told that something may be lost; the events that are there are still there. A
// slot that moves to another server of a cluster does the same to its topics,
// though nothing of them is lost. With Options.Durable, for servers that lose
// nothing, epochs last.
//
// Also when a server runs short of memory and drops the position of a topic, or
// what a Latest topic keeps, another epoch begins. It should not: leave
// maxmemory-policy at noeviction. Publish fails then, and says so.
//
// What was written to a server that was cut off from the others is gone when
// they have put another in its place. A cluster, or sentinels with
// min-replicas-to-write, see to it that such a server takes nothing after a few
// seconds. What Keep keeps, and leases, may go back by as much, and so may records
// of connections and groups; versions of records are drawn, so that none comes
// again, whatever was lost.
//
// All times are those of the servers.
//
// # What is bounded
//
// Publications that wait: 64 MiB of them, beyond which Publish returns [ErrFull].
// Events that have come and wait for the hub: 8 MiB for each server; beyond that
// the connection is not read, and the server closes it when
// client-output-buffer-limit pubsub is reached. It is made again then, as after
// each loss, and the hub is told by Resumed. A connection that answers nothing for
// 5 s is closed.
//
// # What a user of the server needs to be allowed
//
//	+@connection +@scripting +@pubsub +info +cluster|slots +cluster|info
//	+time +exists +del +pttl +pexpire +set +get +getdel +getrange +hget +hset +hmget +hdel +hgetall +hscan
//	+zadd +zcard +zpopmin +zrange +zrem +zscan +xadd +xtrim +xrange
//	~kanava:* &kanava:*
package redis
