package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"interop/cases"
)

// Every way in which the client can be a member of a group.
var variants = map[string][]kgo.Opt{
	"range":              {kgo.Balancers(kgo.RangeBalancer())},
	"roundrobin":         {kgo.Balancers(kgo.RoundRobinBalancer())},
	"sticky":             {kgo.Balancers(kgo.StickyBalancer())},
	"cooperative-sticky": {kgo.Balancers(kgo.CooperativeStickyBalancer())},
	"consumer":           {kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer()},
	"consumer-range":     {kgo.Balancers(kgo.RangeBalancer()), kgo.ServerSideBalancer()},
}

// members is a member of group PREFIX-VARIANT for each variant, reading the topic of that name.
func members(bootstrap, prefix string, names []string) {
	c := &client{bootstrap: bootstrap}
	cases.Members(names, func(m *cases.Member, stop <-chan struct{}) {
		name := prefix + "-" + m.Variant
		changed := func(added, removed map[string][]int32) {
			m.Assign(added[name], removed[name])
		}
		consumer, err := kgo.NewClient(c.options(append(variants[m.Variant],
			kgo.ConsumerGroup(name), kgo.ConsumeTopics(name), kgo.DisableAutoCommit(),
			kgo.BlockRebalanceOnPoll(), kgo.FetchMaxWait(100*time.Millisecond),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.SessionTimeout(3*time.Second), kgo.HeartbeatInterval(300*time.Millisecond),
			kgo.RebalanceTimeout(6*time.Second),
			kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client,
				added map[string][]int32) {
				changed(added, nil)
			}),
			kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client,
				removed map[string][]int32) {
				changed(nil, removed)
			}),
			kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client,
				removed map[string][]int32) {
				changed(nil, removed)
			}))...)...)
		if err != nil {
			m.Fail(err)
			return
		}
		// Leaves the group.
		defer consumer.CloseAllowingRebalance()
		for {
			select {
			case <-stop:
				return
			default:
				handle(m, consumer)
			}
		}
	})
}

// handle takes one poll: says what came, commits it, says so.
func handle(m *cases.Member, consumer *kgo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	fetches := consumer.PollRecords(ctx, 500)
	cancel()
	defer consumer.AllowRebalance()
	type place struct {
		partition int32
		next      int64
	}
	var places []place
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if n := len(p.Records); n > 0 {
			next := p.Records[n-1].Offset + 1
			m.Handled(p.Partition, p.Records[0].Offset, next)
			places = append(places, place{p.Partition, next})
		}
	})
	if len(places) == 0 {
		return
	}
	within, cancel := within()
	defer cancel()
	if err := consumer.CommitRecords(within, fetches.Records()...); err != nil {
		fmt.Fprintln(os.Stderr, m.Variant, "commit:", err)
		return
	}
	for _, p := range places {
		m.Committed(p.partition, p.next)
	}
}
