package dynamodb_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/kanava-go/kanava/engine/dynamodb"
)

// One node. A program gives the engine to its hub, as HubOptions.Engine, and takes the
// client from the configuration of AWS, package config of the SDK.
func ExampleNew() {
	client := awsdynamodb.New(awsdynamodb.Options{Region: "eu-north-1"})
	_, err := dynamodb.New(dynamodb.Options{Client: client, Table: "chat"})
	fmt.Println(err)
	// Output: <nil>
}

// A function on AWS takes the client from its configuration, package config of the
// SDK. This one would talk to an emulator.
func ExampleNewStore() {
	client := awsdynamodb.New(awsdynamodb.Options{
		Region:       "eu-north-1",
		BaseEndpoint: aws.String("http://127.0.0.1:1"),
		Credentials:  credentials.NewStaticCredentialsProvider("emulator", "emulator", ""),
	})
	store, err := dynamodb.NewStore(client, "kanava")
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := store.Save(ctx, "connection", []byte("what is known of it"), 0, time.Hour); err != nil {
		fmt.Println("there is no table")
	}
	// Output: there is no table
}
