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

type member struct {
	*cases.Member
	topic string
	// What was handled and could not be committed yet, since there was a rebalance. The client
	// calls back within a poll only, so that nobody else looks at it then.
	pending map[int32]int64
}

// members is a member of group PREFIX-VARIANT for each variant, reading the topic of that name.
func members(bootstrap, prefix string, names []string) {
	c := &client{bootstrap: bootstrap}
	cases.Members(names, func(said *cases.Member, stop <-chan struct{}) {
		name := prefix + "-" + said.Variant
		m := &member{said, name, map[int32]int64{}}
		consumer, err := kgo.NewClient(c.options(append(variants[m.Variant],
			kgo.ConsumerGroup(name), kgo.ConsumeTopics(name), kgo.DisableAutoCommit(),
			kgo.BlockRebalanceOnPoll(), kgo.FetchMaxWait(100*time.Millisecond),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.SessionTimeout(3*time.Second), kgo.HeartbeatInterval(300*time.Millisecond),
			kgo.RebalanceTimeout(6*time.Second), kgo.OnPartitionsAssigned(m.assigned),
			kgo.OnPartitionsRevoked(m.revoked), kgo.OnPartitionsLost(m.revoked))...)...)
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
				m.handle(consumer)
			}
		}
	})
}

func (m *member) assigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	m.Assign(added[m.topic], nil)
}

func (m *member) revoked(_ context.Context, _ *kgo.Client, removed map[string][]int32) {
	for _, partition := range removed[m.topic] {
		delete(m.pending, partition)
	}
	m.Assign(nil, removed[m.topic])
}

// handle takes one poll: says what came, commits it, says so.
func (m *member) handle(consumer *kgo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	fetches := consumer.PollRecords(ctx, 500)
	cancel()
	defer consumer.AllowRebalance()
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if n := len(p.Records); n > 0 {
			next := p.Records[n-1].Offset + 1
			m.Handled(p.Partition, p.Records[0].Offset, next)
			m.pending[p.Partition] = next
		}
	})
	if len(m.pending) == 0 {
		return
	}
	if err := m.commit(consumer); err != nil {
		fmt.Fprintln(os.Stderr, m.Variant, "commit:", err)
		return
	}
	for partition, next := range m.pending {
		m.Committed(partition, next)
	}
	clear(m.pending)
}

func (m *member) commit(consumer *kgo.Client) error {
	var records []*kgo.Record
	for partition, next := range m.pending {
		record := &kgo.Record{Topic: m.topic, Partition: partition, Offset: next - 1}
		record.LeaderEpoch = -1
		records = append(records, record)
	}
	ctx, cancel := within()
	defer cancel()
	return consumer.CommitRecords(ctx, records...)
}
