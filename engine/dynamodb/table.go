package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// table is where everything is.
type table struct {
	client *dynamodb.Client
	name   string
	mark   string // of its name, in epochs

	reading []func(*dynamodb.Options) // how calls are made that read
}

func newTable(client *dynamodb.Client, name string) (table, error) {
	if client == nil {
		return table{}, errors.New("no client")
	}
	if name == "" {
		name = "kanava"
	}
	return table{client: client, name: name, mark: markOf(name)}, nil
}

// CreateTable makes the table for tests, for an emulator and for small set-ups: paid
// for by request, and with ends as the attribute of its time to live. What is there
// already stays as it is. It returns when the table can be used, which takes some
// seconds. An emulator that knows no time to live keeps items for ever; nothing
// else changes by that.
//
// In production the table is better made by a template, which can also protect and
// encrypt it: see the package.
func CreateTable(ctx context.Context, client *dynamodb.Client, name string) error {
	t, err := newTable(client, name)
	if err == nil {
		err = t.create(ctx)
	}
	if err != nil {
		return fmt.Errorf("dynamodb: create table: %w", err)
	}
	return nil
}

func (t table) create(ctx context.Context) error {
	_, err := t.client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName:   &t.name,
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String(partition), AttributeType: types.ScalarAttributeTypeB},
			{AttributeName: aws.String(sorting), AttributeType: types.ScalarAttributeTypeB},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String(partition), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String(sorting), KeyType: types.KeyTypeRange},
		},
	})
	if _, there := errors.AsType[*types.ResourceInUseException](err); err != nil && !there {
		return err
	}
	for {
		d, err := t.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &t.name})
		if err != nil {
			return err
		}
		if d.Table.TableStatus == types.TableStatusActive {
			break
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	return t.letItemsEnd(ctx)
}

// letItemsEnd has DynamoDB remove items when their time has come.
func (t table) letItemsEnd(ctx context.Context) error {
	_, err := t.client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName:               &t.name,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String(ending), Enabled: aws.Bool(true)},
	})
	var api smithy.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode() {
	case "UnknownOperationException": // an emulator
		return nil
	case "ValidationException": // also where it is so already
		d, described := t.client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &t.name})
		if described == nil && d.TimeToLiveDescription != nil && aws.ToString(d.TimeToLiveDescription.AttributeName) == ending {
			return nil
		}
	}
	return err
}
