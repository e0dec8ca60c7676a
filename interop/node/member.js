// Members of groups, one for each variant that is asked for, as ../README.md says.
'use strict'

async function runMembers(kafka, prefix, variants) {
  const members = await Promise.all(variants.map(v => join(kafka, `${prefix}-${v}`, v)))
  await new Promise(resolve => process.stdin.once('data', resolve))
  await Promise.all(members.map(member => member.disconnect()))
  console.log('left')
}

async function join(kafka, name, variant) {
  const say = (...words) => console.log(variant, ...words)
  const consumer = kafka.consumer({
    groupId: name, sessionTimeout: 3000, heartbeatInterval: 300, rebalanceTimeout: 6000,
    maxWaitTimeInMs: 100,
  })
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    say('assigned', [...(payload.memberAssignment[name] ?? [])].sort((a, b) => a - b).join(','))
  })
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) say('failed', String(payload.error).replaceAll('\n', ' '))
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [name], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    partitionsConsumedConcurrently: 6,
    eachBatch: async ({ batch, resolveOffset, isRunning, isStale }) => {
      if (batch.isEmpty() || !isRunning() || isStale()) return
      const { partition } = batch
      const last = batch.lastOffset()
      const next = String(Number(last) + 1)
      say('handled', partition, batch.firstOffset(), next)
      resolveOffset(last)
      await consumer.commitOffsets([{ topic: name, partition, offset: next }])
      say('committed', partition, next)
    },
  })
  return consumer
}

module.exports = { runMembers }
