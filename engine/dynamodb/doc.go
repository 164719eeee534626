// Package dynamodb keeps connections in DynamoDB, for programs that have no process
// which lives as long as a connection does: functions behind an API Gateway. See
// [NewStore].
//
// # What is where
//
// One table with a partition key pk and a sort key sk, both binary, and with a time
// to live in the attribute ends, a number of seconds. There is no index. By a template:
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
//	pk          sk       other attributes           what
//	r#ID        -        d: data, v: version        a record
//	g#GROUP     MEMBER                              a member of a group
//
// Versions are drawn from 2^63 numbers, so that one that was removed needs no trace.
// A group is one partition, also a large one: DynamoDB spreads one with many members
// over several servers by itself, since sort keys of members have no order in time
// and there is no local index. Spreading it here would make each small group, and most are
// small, as many queries as there are parts.
//
// Writes have conditions at most: there are no transactions, which cost twice as much.
// All reads are strongly consistent.
//
// # What a role needs to be allowed
//
// On the table: dynamodb:GetItem, BatchGetItem, PutItem, DeleteItem and Query. Who calls [CreateTable]
// needs CreateTable, DescribeTable, UpdateTimeToLive and DescribeTimeToLive.
package dynamodb
