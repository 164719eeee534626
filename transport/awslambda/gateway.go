package awslambda

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	management "github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
)

// gateway is the management API, by which connections are sent to. It is a
// kanava.Platform.
type gateway struct {
	client   *management.Client
	region   string
	endpoint string // of all connections; "" for that of each
}

var _ kanava.Platform = (*gateway)(nil)

const (
	callTime  = 10 * time.Second // that one try of a call may take
	retryWait = 2 * time.Second  // between two of them, at most
	conns     = 64               // idle TCP connections that are kept
)

// newGateway panics if an option is missing or wrong; where names who is asked for it.
func newGateway(where string, cfg aws.Config, endpoint string, store engine.Store) *gateway {
	mustHave(where, "Store", store != nil)
	mustHave(where, "Config.Region", cfg.Region != "")
	mustHave(where, "Config.Credentials", cfg.Credentials != nil)
	g := &gateway{region: cfg.Region}
	g.client = management.NewFromConfig(cfg, func(o *management.Options) {
		o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
			r.MaxAttempts = math.MaxInt // until the context ends
			r.MaxBackoff = retryWait
			r.RateLimiter = ratelimit.None
			r.Retryables = append(r.Retryables, retry.RetryableHTTPStatusCode{Codes: map[int]struct{}{http.StatusTooManyRequests: {}}})
		})
		if cfg.HTTPClient == nil {
			o.HTTPClient = awshttp.NewBuildableClient().WithTimeout(callTime).WithTransportOptions(func(t *http.Transport) {
				t.MaxIdleConnsPerHost, t.MaxIdleConns = conns, conns
			})
		}
	})
	if endpoint == "" {
		endpoint = aws.ToString(g.client.Options().BaseEndpoint)
	}
	if endpoint != "" {
		endpoint = strings.TrimSuffix(strings.TrimSuffix(endpoint, "/"), "/@connections") // as AWS's pages show it
		if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			panic(fmt.Sprintf("awslambda: %s: the endpoint of the management API is %q, which is no https:// address", where, endpoint))
		}
		g.endpoint = endpoint
	}
	return g
}

// idOf is what a connection is called here: HOST/STAGE/ID, from which every process
// knows where it is. It is the same for all events of the connection.
func (g *gateway) idOf(at *events.APIGatewayWebsocketProxyRequestContext) string {
	return g.hostOf(at) + "/" + at.Stage + "/" + at.ConnectionID
}

// hostOf is the host of the management API. A domain of one's own maps paths to
// stages, and no event tells how: such connections are reached at AWS's address of
// the API.
func (g *gateway) hostOf(at *events.APIGatewayWebsocketProxyRequestContext) string {
	if strings.HasSuffix(at.DomainName, ".amazonaws.com") || strings.HasSuffix(at.DomainName, ".amazonaws.com.cn") {
		return at.DomainName
	}
	host := at.APIID + ".execute-api." + g.region + ".amazonaws.com"
	if strings.HasPrefix(g.region, "cn-") {
		host += ".cn"
	}
	return host
}

// at returns how to call for a connection: by the gateway's id of it, at an endpoint.
func (g *gateway) at(id string) (connection *string, option func(*management.Options)) {
	host, rest, _ := strings.Cut(id, "/")
	stage, name, _ := strings.Cut(rest, "/")
	endpoint := g.endpoint
	if endpoint == "" {
		endpoint = "https://" + host + "/" + stage
	}
	return &name, func(o *management.Options) { o.BaseEndpoint = &endpoint }
}

// Send implements kanava.Platform. A message whose answer was lost is sent again.
func (g *gateway) Send(ctx context.Context, id string, f kanava.Frame) error {
	connection, option := g.at(id)
	_, err := g.client.PostToConnection(ctx, &management.PostToConnectionInput{ConnectionId: connection, Data: f.Data}, option)
	if isGone(err) {
		return kanava.ErrGone
	}
	if err != nil {
		return fmt.Errorf("awslambda: post to the connection: %w", err)
	}
	return nil
}

// Close implements kanava.Platform. API Gateway chooses the code.
func (g *gateway) Close(ctx context.Context, id string, _ kanava.CloseCode, _ string) error {
	connection, option := g.at(id)
	_, err := g.client.DeleteConnection(ctx, &management.DeleteConnectionInput{ConnectionId: connection}, option)
	if err != nil && !isGone(err) {
		return fmt.Errorf("awslambda: close the connection: %w", err)
	}
	return nil
}

// isGone reports whether a connection is not there: emulators say it by the status
// alone.
func isGone(err error) bool {
	if _, gone := errors.AsType[*types.GoneException](err); gone {
		return true
	}
	res, ok := errors.AsType[*awshttp.ResponseError](err)
	return ok && res.HTTPStatusCode() == http.StatusGone
}
