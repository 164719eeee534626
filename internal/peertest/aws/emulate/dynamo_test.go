package emulate_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/kanava-go/kanava/internal/peertest/aws/emulate"
)

// A table is there at once, and a condition holds.
func TestDynamo(t *testing.T) {
	db := dynamodb.New(dynamodb.Options{
		BaseEndpoint: aws.String(emulate.Dynamo(t)),
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	if _, err := db.CreateTable(limit(t), &dynamodb.CreateTableInput{
		TableName:            aws.String("things"),
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
	}); err != nil {
		t.Fatal(err)
	}
	put := &dynamodb.PutItemInput{
		TableName:           aws.String("things"),
		Item:                map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "1"}},
		ConditionExpression: aws.String("attribute_not_exists(id)"),
	}
	if _, err := db.PutItem(limit(t), put); err != nil {
		t.Fatal(err)
	}
	var failed *types.ConditionalCheckFailedException
	if _, err := db.PutItem(limit(t), put); !errors.As(err, &failed) {
		t.Errorf("the second put came to %v, want that its condition failed", err)
	}
}
