// Package postgres joins the hubs of several nodes by PostgreSQL, from version 14
// on (it is tested with 15): one database, also one that the program has anyway. [New] says which, and
// [PublishTx] publishes in a transaction of the program's: an event is seen if and
// only if that commits.
//
// # What is where
//
// All tables and functions are in one schema, Options.Schema, which is "kanava"
// here. An engine makes it when it connects, with an advisory lock; see [Migrate].
//
//	table             what                                                       how long
//	kanava.ground     what epochs of all topics end with: one row                for ever
//	kanava.topics     where a topic stands                                       25 h after it was used last; longer than its events
//	kanava.events     the last events of Recoverable topics                      their time to live, and up to a day; those of more than 8 days to the second
//	kanava.latest     the newest event of each key of Latest topics, 1,024 keys  24 h
//	kanava.ids        publications with an ID                                    2 min
//	kanava.payloads   events over 5.9 KB of Volatile, Ordered and Latest topics  5 min
//	kanava.owners     the leases of nodes                                        1 min after they have ended
//	kanava.entries    entries of groups                                          as long as their lease, or as they say
//	kanava.kept       what Keep keeps                                            its time
//	kanava.records    records of connections                                     their time, and an eighth more at most
//	kanava.members    members of groups of connections                           as records
//
// Events are in partitions by the day on which they end, and go with these. A
// Recoverable topic keeps up to a quarter more events than its Size, 512 at most,
// and 64. Every 30 s one of the nodes deletes what has ended, in steps of 2,000 rows.
//
// Events come by LISTEN and NOTIFY, on 64 channels, kanava_0 to kanava_63, over
// which topics are spread by a digest of their names: a node is sent all events of
// the channels that its topics have, and drops those of other topics. A
// notification has several events of a topic, or says where a large one is. What
// Probe sends comes by kanava_p_ENGINE. A node has one connection for that, and up to Options.Conns for
// all else.
//
// # What is promised
//
// An event is published when its transaction is on the disk of the server, and, as
// synchronous_commit says, on those of its standbys: an engine sets that to on
// where it is off. Who publishes to a topic holds its row until then, so events
// have one order, in which they are numbered, committed and delivered.
//
// Who publishes when a connection breaks gets an error, for nobody knows whether the
// event was published; one with an ID the engine publishes again by itself.
//
// A server that is killed and comes back with its data has lost nothing, and
// epochs go on. They end, for all topics, when other data may have taken the place
// of what there was: a standby has taken over or a backup was restored (the
// timeline of the server is another one), the schema was restored from a dump, or
// the log of the server is shorter than an engine has seen it. Who asks for what
// followed a position is told that something may be lost; the events that are
// there are still there. What is not noticed is a copy of the files of the server
// that takes its place while no engine runs.
//
// Records of connections and groups are as safe as other commits are: where
// synchronous_commit is off, the end of the server may take the last ones. Versions
// of records are drawn, so that none comes again, also in data from a backup.
//
// All times are those of the server.
//
// # What is bounded
//
// Publications that wait: 64 MiB of them, beyond which Publish returns [ErrFull].
// Events that have come and wait for the hub: 8 MiB, and 4 MiB of large ones.
// Beyond that the connection is not read, and after 10 s it is made again; the
// hub is told by Resumed, as after each loss. A connection that says nothing for 5
// s is asked, and closed when it does not answer within 5 s. The server keeps 8 GB
// of notifications for all who listen: a node that is there and takes nothing, for
// it has been stopped, say, loses its connection when a twentieth of that is used.
//
// # What a user of the database needs to be allowed
//
// To make the schema: CREATE on the database. Where the operator calls [Migrate]
// and Options.NoMigrate is set, USAGE on the schema, SELECT, INSERT, UPDATE and
// DELETE on its tables, also on those that a new version makes; functions may be
// called by anybody. The same is needed by who calls [PublishTx].
//
// # Who may connect
//
// PostgreSQL has no privileges for LISTEN and NOTIFY. Whoever may connect to the
// database, by any role and with no right to the schema, can read all events of
// up to 5.9 KB as they are published, and can send notifications that nodes take for
// events. So only roles that are trusted with all events may connect to it. By default
// every role of the server may: REVOKE CONNECT ON DATABASE ... FROM PUBLIC. Other
// databases of the server are apart.
package postgres
