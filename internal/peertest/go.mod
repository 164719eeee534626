module github.com/kanava-go/kanava/internal/peertest

go 1.26.0

require (
	github.com/aws/aws-lambda-go v1.55.1
	github.com/aws/aws-sdk-go-v2 v1.47.5
	github.com/aws/aws-sdk-go-v2/credentials v1.19.0
	github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi v1.24.0
	github.com/aws/aws-sdk-go-v2/service/dynamodb v1.70.0
	github.com/aws/smithy-go v1.28.7
	github.com/coder/websocket v1.8.15
	github.com/go-json-experiment/json v1.27.2
	github.com/gobwas/ws v1.5.0
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/google/go-cmp v0.7.0
	github.com/kanava-go/kanava v0.1.0
	github.com/kanava-go/kanava/e2e v0.1.0
	github.com/kanava-go/kanava/engine/dynamodb v0.1.0
	github.com/kanava-go/kanava/transport/awslambda v0.1.0
	github.com/kanava-go/kanava/transport/webpubsub v0.1.0
)

require (
	github.com/aws/aws-sdk-go-v2/internal/configsources v1.5.8 // indirect
	github.com/aws/aws-sdk-go-v2/internal/endpoints/v2 v2.8.8 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/accept-encoding v1.13.23 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/endpoint-discovery v1.13.8 // indirect
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
)

replace (
	github.com/kanava-go/kanava => ../..
	github.com/kanava-go/kanava/e2e => ../../e2e
	github.com/kanava-go/kanava/engine/dynamodb => ../../engine/dynamodb
	github.com/kanava-go/kanava/transport/awslambda => ../../transport/awslambda
	github.com/kanava-go/kanava/transport/webpubsub => ../../transport/webpubsub
)
