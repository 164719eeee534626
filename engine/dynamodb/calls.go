package dynamodb

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	batchKeys = 100 // that BatchGetItem takes
	parallel  = 8   // calls of one method that run at once
)

// condition is what has to be true of the item that is written, and the values that
// it speaks of. "" is none.
type condition struct {
	text   string
	values item
}

// outcome is what has become of a write.
type outcome struct {
	done   bool // it was written; else its condition was false, and nothing was done by the last attempt
	unsure bool // an attempt before the last may have been carried out
	item   item // of remove what was there before, of update what is there now, and of put what told says: emulators may not say it
}

// put writes an item in the place of the former one, if the condition holds.
func (t table) put(ctx context.Context, it item, c condition, opts ...func(*dynamodb.PutItemInput)) (outcome, error) {
	in := &dynamodb.PutItemInput{TableName: &t.name, Item: it, ExpressionAttributeValues: c.values, ConditionExpression: textOf(c)}
	for _, opt := range opts {
		opt(in)
	}
	var out outcome
	_, err := t.client.PutItem(ctx, in, noting(&out.unsure))
	return out.of(err)
}

// told is for a put whose condition may be false, to be told what is there then.
func told(in *dynamodb.PutItemInput) {
	in.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
}

// update changes an item, if the condition holds. Set is an expression whose
// values are among those of the condition.
func (t table) update(ctx context.Context, k item, set string, c condition) (outcome, error) {
	in := &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: k, UpdateExpression: &set,
		ConditionExpression: textOf(c), ExpressionAttributeValues: c.values, ReturnValues: types.ReturnValueAllNew,
	}
	var out outcome
	res, err := t.client.UpdateItem(ctx, in, noting(&out.unsure))
	if err == nil {
		out.item = res.Attributes
	}
	return out.of(err)
}

// remove removes an item.
func (t table) remove(ctx context.Context, k item) (outcome, error) {
	in := &dynamodb.DeleteItemInput{TableName: &t.name, Key: k, ReturnValues: types.ReturnValueAllOld}
	var out outcome
	res, err := t.client.DeleteItem(ctx, in, noting(&out.unsure))
	if err == nil {
		out.item = res.Attributes
	}
	return out.of(err)
}

func textOf(c condition) *string {
	if c.text == "" {
		return nil
	}
	return &c.text
}

// of tells an error from a condition that was false.
func (o outcome) of(err error) (outcome, error) {
	if failed, is := errors.AsType[*types.ConditionalCheckFailedException](err); is {
		o.item = failed.Item
		return o, nil
	}
	o.done = err == nil
	return o, err
}

// noting lets a call note whether an attempt that is made again may have been
// carried out: no answer has come to it, or one that says nothing of that.
func noting(unsure *bool) func(*dynamodb.Options) {
	return func(o *dynamodb.Options) {
		r, ok := o.Retryer.(aws.RetryerV2)
		if !ok {
			*unsure = true // an older kind, which is left alone
			return
		}
		o.Retryer = notingRetryer{r, unsure}
	}
}

type notingRetryer struct {
	aws.RetryerV2

	unsure *bool
}

// IsErrorRetryable is asked after each attempt that failed.
func (r notingRetryer) IsErrorRetryable(err error) bool {
	res, answered := errors.AsType[*awshttp.ResponseError](err)
	refused := answered && res.HTTPStatusCode() >= 400 && res.HTTPStatusCode() < 500
	if !refused {
		*r.unsure = true
	}
	return r.RetryerV2.IsErrorRetryable(err)
}

// eager returns the table for who wants to know of each failure: what reads is not
// tried again by the client.
func (t table) eager() table {
	t.reading = []func(*dynamodb.Options){func(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} }}
	return t
}

// get returns an item as it is after all writes that have returned, nil if there is
// none.
func (t table) get(ctx context.Context, k item) (item, error) {
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.name, Key: k, ConsistentRead: aws.Bool(true)}, t.reading...)
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// getAll hands items to each, as they are after all writes that have returned, in any
// order and from several goroutines at once. There are no two keys that are equal.
func (t table) getAll(ctx context.Context, keys []item, each func(item) error) error {
	batches := (len(keys) + batchKeys - 1) / batchKeys
	return atOnce(ctx, batches, func(ctx context.Context, i int) error {
		return t.getBatch(ctx, keys[i*batchKeys:min(len(keys), (i+1)*batchKeys)], true, each)
	})
}

// getBatch asks again for what DynamoDB has left out, as it does when an answer
// becomes too long or the table has no capacity left: longer after many times, and
// until ctx ends.
func (t table) getBatch(ctx context.Context, keys []item, consistent bool, each func(item) error) error {
	for attempt := 0; len(keys) > 0; attempt++ {
		out, err := t.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{t.name: {Keys: keys, ConsistentRead: &consistent}},
		}, t.reading...)
		if err != nil {
			return err
		}
		for _, it := range out.Responses[t.name] {
			if err := each(it); err != nil {
				return err
			}
		}
		left := out.UnprocessedKeys[t.name].Keys
		if len(left) == len(keys) {
			if err := pause(ctx, backOff(attempt)); err != nil {
				return err
			}
		}
		keys = left
	}
	return nil
}

// query returns the items of a partition in the order of their sort keys, as they
// are after all writes that have returned. Where there is a from, they begin after it.
// Most is how many are asked for at once; 0: as many as fit into 1 MB.
func (t table) query(ctx context.Context, part string, from []byte, most int32) iter.Seq2[item, error] {
	in := &dynamodb.QueryInput{
		TableName: &t.name, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String(partition + " = :p"),
		ExpressionAttributeValues: item{":p": binaryOf([]byte(part))},
	}
	if from != nil {
		in.KeyConditionExpression = aws.String(partition + " = :p AND " + sorting + " > :s")
		in.ExpressionAttributeValues[":s"] = binaryOf(from)
	}
	if most > 0 {
		in.Limit = &most
	}
	return func(yield func(item, error) bool) {
		for {
			out, err := t.client.Query(ctx, in, t.reading...)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, it := range out.Items {
				if !yield(it, nil) {
					return
				}
			}
			if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
				return
			}
		}
	}
}

// atOnce calls f for each number below n, some at once. The first error ends the
// others, and is returned when all have returned.
func atOnce(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	if n == 1 {
		return f(ctx, 0)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	places := make(chan struct{}, parallel)
	for i := range n {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-places }()
			if err := f(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// backOff is how long to wait after some attempts: each time another while, so
// that processes do not come at once.
func backOff(attempt int) time.Duration {
	most := min(time.Second, 10*time.Millisecond<<min(attempt, 10))
	return most/2 + rand.N(most/2+1) //nolint:gosec // spreads attempts
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
