// kafkajs. It cannot read a partition without a consumer group, so that reading goes through the
// broker object below its consumer: the same requests, and the same decoders of what comes back.
'use strict'

const crypto = require('node:crypto')
const fs = require('node:fs')
const readline = require('node:readline')

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require('kafkajs')
const Cluster = require('kafkajs/src/cluster')
const createSocketFactory = require('kafkajs/src/network/socketFactory')
const { createLogger } = require('kafkajs/src/loggers')
const logToConsole = require('kafkajs/src/loggers/console')
const { Partitioners } = require('kafkajs')
const lz4 = require('lz4js')
const snappy = require('snappyjs')
const { ZstdCodec } = require('zstd-codec')

const { runMembers } = require('./member')

const BASE_MS = 1_600_000_000_000
// For a transaction to be refused.
const SOON_MS = 20_000
const TYPES = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}
// The codecs that kafkajs leaves to others. Snappy is written raw, without the framing that
// Java clients use; read in either form.
const XERIAL = Buffer.from([130, 83, 78, 65, 80, 80, 89, 0])

function unsnap(buffer) {
  if (!buffer.subarray(0, 8).equals(XERIAL)) return snappy.uncompress(buffer)
  const parts = []
  for (let at = 16; at < buffer.length; ) {
    const length = buffer.readUInt32BE(at)
    parts.push(Buffer.from(snappy.uncompress(buffer.subarray(at + 4, at + 4 + length))))
    at += 4 + length
  }
  return Buffer.concat(parts)
}

// The package marks its frames as having blocks that need each other, which Kafka refuses; a batch
// is below the 4 MiB of one block, so that the other mark (and its checksum) is just as true.
function lz4Frame(buffer) {
  if (buffer.length > 4 << 20) throw new Error('more than one lz4 block')
  const frame = Buffer.from(lz4.compress(buffer))
  frame[4] = 0x60
  frame[6] = 0x73
  return frame
}

// The package takes the checksum behind each block, which aiokafka writes, for the next block's
// length. It does not look at the header's own checksum, so that the flag can just be cleared.
function unlz4(frame) {
  if ((frame[4] & 0x10) === 0) return lz4.decompress(frame)
  const hasContentSize = (frame[4] & 0x08) !== 0
  const header = Buffer.from(frame.subarray(0, hasContentSize ? 15 : 7))
  header[4] &= ~0x10
  const parts = [header]
  let at = header.length
  for (;;) {
    const length = frame.readUInt32LE(at) & 0x7fffffff
    parts.push(frame.subarray(at, at + 4 + length))
    if (length === 0) return lz4.decompress(Buffer.concat(parts))
    at += 4 + length + 4
  }
}

async function registerCodecs() {
  const zstd = await new Promise(resolve => ZstdCodec.run(resolve))
  const streaming = new zstd.Streaming()
  const codec = (compress, decompress) => () => ({
    compress: async encoder => Buffer.from(compress(encoder.buffer)),
    decompress: async buffer => Buffer.from(decompress(buffer)),
  })
  CompressionCodecs[CompressionTypes.Snappy] = codec(b => snappy.compress(b), unsnap)
  CompressionCodecs[CompressionTypes.LZ4] = codec(lz4Frame, unlz4)
  CompressionCodecs[CompressionTypes.ZSTD] = codec(
    b => streaming.compress(b), b => streaming.decompress(b)
  )
}

class Client {
  constructor(bootstrap) {
    this.retry = { retries: 60, initialRetryTime: 50, maxRetryTime: 500 }
    this.kafka = new Kafka({
      brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: this.retry,
    })
    this.cluster = new Cluster({
      logger: createLogger({ level: logLevel.NOTHING, logCreator: logToConsole }),
      socketFactory: createSocketFactory(),
      brokers: [bootstrap],
      clientId: 'reader',
      connectionTimeout: 5000,
      authenticationTimeout: 5000,
      reauthenticationThreshold: 5000,
      metadataMaxAge: 300_000,
      retry: this.retry,
      allowAutoTopicCreation: false,
      isolationLevel: 0,
    })
    this.admin = this.kafka.admin()
    this.producers = new Map()
  }

  async open() {
    await registerCodecs()
    await this.admin.connect()
    await this.cluster.connect()
  }

  async create(topic, numPartitions) {
    const created = await this.admin.createTopics({
      topics: [{ topic, numPartitions, replicationFactor: 1 }], waitForLeaders: true,
    })
    // The client turns exactly this error into `false`.
    if (!created) throw Object.assign(new Error(topic), { type: 'TOPIC_ALREADY_EXISTS' })
  }

  async producer(idempotent) {
    if (!this.producers.has(idempotent)) {
      const producer = this.kafka.producer({
        idempotent, createPartitioner: Partitioners.DefaultPartitioner,
      })
      await producer.connect()
      this.producers.set(idempotent, producer)
    }
    return this.producers.get(idempotent)
  }

  async send(topic, messages, codec = 'none', idempotent = false) {
    const producer = await this.producer(idempotent)
    await producer.send({ topic, messages, compression: TYPES[codec], acks: -1 })
  }

  async transaction(topic, messages) {
    const producer = this.kafka.producer({
      transactionalId: topic, idempotent: true, maxInFlightRequests: 1,
      createPartitioner: Partitioners.DefaultPartitioner,
    })
    await producer.connect()
    try {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages })
      await transaction.commit()
    } finally {
      await producer.disconnect()
    }
  }

  // One fetch: what came, possibly nothing.
  async fetch(topic, partition, offset) {
    await this.cluster.addTargetTopic(topic)
    const leaders = this.cluster.findLeaderForPartitions(topic, [partition])
    const broker = await this.cluster.findBroker({ nodeId: Object.keys(leaders)[0] })
    const { responses } = await broker.fetch({
      replicaId: -1,
      isolationLevel: 0,
      maxWaitTime: 100,
      minBytes: 1,
      maxBytes: 4 << 20,
      topics: [{
        topic, partitions: [{ partition, fetchOffset: String(offset), maxBytes: 4 << 20 }],
      }],
    })
    return responses[0].partitions[0].messages.filter(m => Number(m.offset) >= offset)
  }

  async each(topic, partition, offset, count, body) {
    let heard = Date.now()
    const end = offset + count
    while (offset < end) {
      if (Date.now() > heard + 30_000) throw new Error(`${end - offset} of ${count} did not come`)
      let messages
      try {
        messages = await this.fetch(topic, partition, offset)
      } catch (error) {
        // After a restart the old connection is found dead by using it.
        if (!error.retriable && error.name !== 'KafkaJSConnectionClosedError') throw error
        await new Promise(resolve => setTimeout(resolve, 100))
        await this.cluster.refreshMetadata().catch(() => {})
        continue
      }
      for (const m of messages) {
        if (offset === end) break
        offset = Number(m.offset) + 1
        heard = Date.now()
        body(m)
      }
    }
  }

  async read(topic, partition, offset, count) {
    const records = []
    await this.each(topic, partition, offset, count, m => records.push(m))
    return records
  }

  async ends(topic, partition) {
    const all = await this.admin.fetchTopicOffsets(topic)
    const { low, high } = all.find(each => each.partition === partition)
    return [Number(low), Number(high)]
  }

  // The admin call answers with the end of the log when there is no such record.
  async offsetAt(topic, timestamp) {
    const [{ offset }] = await this.admin.fetchTopicOffsetsByTimestamp(topic, timestamp)
    return Number(offset)
  }
}

function same(a, b) {
  if (a === null || b === null) return a === b
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0
}

function expect(what, got, wanted) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(wanted)]
  if (a !== b) throw new Error(`${what}: got ${a}, expected ${b}`.slice(0, 500))
}

function expectSame(got, wanted) {
  expect('number of records', got.length, wanted.length)
  wanted.forEach((record, n) => {
    const equal = same(got[n].key, record.key ?? null) && same(got[n].value, record.value)
    if (!equal) throw new Error(`record ${n} differs`)
  })
}

async function refusal(name, call) {
  try {
    await call()
  } catch (error) {
    const type = error.type ?? error.cause?.type
    if (type === name) return
    throw new Error(`got ${type} ${error}, expected ${name}`)
  }
  throw new Error(`no error, expected ${name}`)
}

async function eventually(what, condition) {
  const deadline = Date.now() + 10_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ten seconds`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

function payload(n) {
  return Buffer.from(Array.from({ length: 1 + (n * 37) % 1500 }, (_, j) => (n + j * j) % 251))
}

const numbers = (from, to) =>
  Array.from({ length: to - from }, (_, n) => ({ value: String(from + n) }))
const stamped = count =>
  numbers(0, count).map((m, n) => ({ ...m, timestamp: String(BASE_MS + n * 1000) }))

function cases(client, prefix) {
  const make = async name => {
    const topic = `${prefix}-${name}`
    await client.create(topic, 1)
    return topic
  }
  const roundTrip = async (name, messages, codec, idempotent) => {
    const topic = await make(name)
    await client.send(topic, messages, codec, idempotent)
    expectSame(await client.read(topic, 0, 0, messages.length), messages)
    return topic
  }
  return {
    create: async () => {
      const topic = `${prefix}-create`
      await client.create(topic, 3)
      const { topics } = await client.admin.fetchTopicMetadata({ topics: [topic] })
      expect('partitions', topics[0].partitions.length, 3)
      await refusal('TOPIC_ALREADY_EXISTS', () => client.create(topic, 3))
    },
    'auto-create': async () => {
      const topic = `${prefix}-auto-create`
      await client.send(topic, [{ value: 'first' }])
      expectSame(await client.read(topic, 0, 0, 1), [{ value: 'first' }])
    },
    codec: async codec => {
      const messages = Array.from({ length: 300 }, (_, n) => ({ key: `k${n}`, value: payload(n) }))
      await roundTrip(`codec-${codec}`, messages, codec)
    },
    keys: async () => {
      const topic = `${prefix}-keys`
      await client.create(topic, 3)
      await client.send(topic, numbers(0, 70).map((m, n) => ({ ...m, key: `key${n % 7}` })))
      const seen = {}
      for (let partition = 0; partition < 3; partition++) {
        const [low, high] = await client.ends(topic, partition)
        for (const m of await client.read(topic, partition, low, high - low)) {
          (seen[`${m.key}`] ??= []).push([partition, `${m.value}`])
        }
      }
      for (let n = 0; n < 7; n++) {
        const found = seen[`key${n}`] ?? []
        expect('partitions of a key', new Set(found.map(([partition]) => partition)).size, 1)
        const wanted = numbers(0, 70).filter((_, m) => m % 7 === n).map(m => m.value)
        expect('values of a key', found.map(([, value]) => value), wanted)
      }
    },
    nulls: () => roundTrip('nulls', [
      { value: 'v' }, { key: 'k', value: null }, { key: null, value: null },
      { key: '', value: '' },
    ]),
    headers: async () => {
      const headers = { a: ['1', '2'], b: '', '\u00e9': Buffer.from([255, 0]) }
      const topic = await roundTrip('headers', [{ value: 'v', headers }])
      const [{ headers: got }] = await client.read(topic, 0, 0, 1)
      expect('names', Object.keys(got), Object.keys(headers))
      expect('repeated', got.a.map(String), ['1', '2'])
      expect('empty', String(got.b), '')
      expect('bytes', [...got['\u00e9']], [255, 0])
    },
    timestamps: async () => {
      const topic = await roundTrip('timestamps', stamped(10))
      const got = (await client.read(topic, 0, 0, 10)).map(m => m.timestamp)
      expect('timestamps', got, stamped(10).map(m => m.timestamp))
    },
    large: () => {
      const value = Buffer.alloc(1_000_000).map((_, n) => (n * 31) % 251)
      return roundTrip('large', [{ value }])
    },
    'too-large': async () => {
      const topic = await make('too-large')
      const oversized = [{ value: Buffer.alloc(1_200_000) }]
      await refusal('MESSAGE_TOO_LARGE', () => client.send(topic, oversized))
      await client.send(topic, [{ value: 'small' }])
      expectSame(await client.read(topic, 0, 0, 1), [{ value: 'small' }])
    },
    'seek-offset': async () => {
      const topic = await roundTrip('seek-offset', numbers(0, 100))
      for (const offset of [42, 0, 99]) {
        const [m] = await client.read(topic, 0, offset, 1)
        expect('record', [m.offset, `${m.value}`], [`${offset}`, `${offset}`])
      }
    },
    'seek-time': async () => {
      const topic = await roundTrip('seek-time', stamped(100))
      const table = [[0, 0], [42_000, 42], [42_500, 43], [99_000, 99], [99_001, 100]]
      for (const [at, offset] of table) {
        expect(`offset at ${at}`, await client.offsetAt(topic, BASE_MS + at), offset)
      }
    },
    idempotent: async () => {
      const topic = await make('idempotent')
      for (let n = 0; n < 500; n += 100) {
        await client.send(topic, numbers(n, n + 100), 'none', true)
      }
      expectSame(await client.read(topic, 0, 0, 500), numbers(0, 500))
      expect('ends', await client.ends(topic, 0), [0, 500])
    },
    transactional: async () => {
      const topic = await make('transactional')
      const start = Date.now()
      try {
        await client.transaction(topic, numbers(0, 1))
      } catch (error) {
        // It keeps the broker's error to itself.
        expect('refusal', error.name, 'KafkaJSGroupCoordinatorNotFound')
        expect('soon', Date.now() - start < SOON_MS, true)
        return
      }
      expectSame(await client.read(topic, 0, 0, 1), numbers(0, 1))
    },
    'list-offsets': async () => {
      const topic = await make('list-offsets')
      expect('empty', await client.ends(topic, 0), [0, 0])
      await client.send(topic, numbers(0, 7))
      expect('filled', await client.ends(topic, 0), [0, 7])
    },
    delete: async () => {
      const topic = await make('delete')
      const listed = async () => (await client.admin.listTopics()).includes(topic)
      await eventually('topic is listed', listed)
      await client.admin.deleteTopics({ topics: [topic] })
      await eventually('topic is gone', async () => !(await listed()))
    },
    reconnect: async () => {
      const topic = await make('reconnect')
      await client.send(topic, numbers(0, 10), 'none', true)
      expectSame(await client.read(topic, 0, 0, 10), numbers(0, 10))
      console.log('restart')
      await new Promise(resolve => process.stdin.once('data', resolve))
      await client.send(topic, numbers(10, 20), 'none', true)
      expectSame(await client.read(topic, 0, 0, 20), numbers(0, 20))
    },
  }
}

async function sendFile(client, topic, codec, path) {
  let [batch, count] = [[], 0]
  const flush = async () => {
    if (batch.length > 0) await client.send(topic, batch, codec, true)
    count += batch.length
    batch = []
  }
  const input = fs.createReadStream(path, { encoding: 'latin1' })
  for await (const line of readline.createInterface({ input, crlfDelay: Infinity })) {
    batch.push({ value: Buffer.from(line, 'latin1') })
    if (batch.length === 2000) await flush()
  }
  await flush()
  return count
}

async function main([bootstrap, command, ...args]) {
  const client = new Client(bootstrap)
  if (command === 'member') {
    await registerCodecs()
    await runMembers(client.kafka, args[0], args.slice(1))
    process.exit(0)
  }
  await client.open()
  if (command === 'send') {
    console.log('sent', await sendFile(client, ...args))
  } else if (command === 'receive') {
    const digest = crypto.createHash('sha256')
    await client.each(args[0], 0, 0, Number(args[1]), m => digest.update(m.value).update('\n'))
    console.log('sha256', digest.digest('hex'))
  } else {
    const table = cases(client, args[0])
    for (const name of args.slice(1)) {
      try {
        const codec = name.match(/^codec-(.*)/)
        await (codec ? table.codec(codec[1]) : table[name]())
        console.log('ok', name)
      } catch (error) {
        console.error(error)
        console.log(`FAIL ${name}: ${String(error).replaceAll('\n', ' ')}`)
      }
    }
  }
  process.exit(0)
}

main(process.argv.slice(2)).catch(error => {
  console.error(error)
  process.exit(1)
})
