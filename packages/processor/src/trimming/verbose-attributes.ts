/**
 * What {@link AttributeTrimmingSpanProcessor} removes unless told otherwise: attributes that semantic conventions (1.45)
 * list as recommended or opt-in, or that instrumentations add of their own accord, and that are long or many, or that
 * hardly anybody looks up. A `*` at the end stands for anything.
 *
 * Queries and documents are not among them (`db.query.text`, `db.statement`, `graphql.document`, `url.query`): their
 * beginning says what they are, so they are cut, as every long value is.
 */
export const VERBOSE_ATTRIBUTES: readonly string[] = Object.freeze([
  // Opt-in: one attribute per header or metadata key.
  'http.request.header.*',
  'http.response.header.*',
  'rpc.request.metadata.*',
  'rpc.response.metadata.*',
  'rpc.grpc.request.metadata.*',
  'rpc.grpc.response.metadata.*',
  'rpc.connect_rpc.request.metadata.*',
  'rpc.connect_rpc.response.metadata.*',
  'messaging.header.*',
  // Opt-in: the values that were put into a query.
  'db.query.parameter.*',
  'db.postgresql.values',
  'db.mysql.values',
  'graphql.variables.*',
  // About 120 bytes in every span of a server, and the same for all spans of a client.
  'user_agent.original',
  'http.user_agent',
  // Where in the program, and on which thread or in which process: the resource has the process already.
  'code.*',
  'thread.*',
  'process.*',
  // On exceptions that were handled; spans in error are spared unless `spareErrors` is off.
  'exception.stacktrace',
  // Opt-in: whole conversations.
  'gen_ai.input.messages',
  'gen_ai.output.messages',
  'gen_ai.system_instructions',
  'gen_ai.tool.definitions',
  'gen_ai.tool.call.arguments',
  'gen_ai.tool.call.result',
  'gen_ai.prompt',
  'gen_ai.prompt.*',
  'gen_ai.completion',
  'gen_ai.completion.*',
]);

/**
 * What is never removed nor cut, whatever the options say: the attributes that semantic conventions (1.45) require of
 * spans, and those they require under a condition that name the operation or how it went; then the older names that
 * instrumentations for Node still write. What they require under a condition otherwise is not removed by default.
 */
export const REQUIRED_ATTRIBUTES: readonly string[] = Object.freeze([
  // Everywhere
  'error.type',
  'exception.type',
  'server.address',
  'server.port',
  'network.protocol.name',
  'service.name',
  'service.namespace',
  'service.version',
  'service.instance.id',
  // HTTP
  'http.request.method',
  'http.request.method_original',
  'http.response.status_code',
  'http.route',
  'url.full',
  'url.path',
  'url.scheme',
  // Databases
  'db.system.name',
  'db.namespace',
  'db.collection.name',
  'db.operation.name',
  'db.response.status_code',
  'db.stored_procedure.name',
  // Messaging
  'messaging.system',
  'messaging.operation.name',
  'messaging.operation.type',
  'messaging.destination.name',
  'messaging.destination.template',
  'messaging.destination.temporary',
  'messaging.destination.anonymous',
  'messaging.destination.subscription.name',
  'messaging.consumer.group.name',
  'messaging.batch.message_count',
  // RPC
  'rpc.system',
  'rpc.system.name',
  'rpc.service',
  'rpc.method',
  'rpc.method_original',
  'rpc.response.status_code',
  'rpc.status_code',
  'rpc.grpc.status_code',
  'rpc.jsonrpc.error_code',
  'rpc.connect_rpc.error_code',
  'jsonrpc.protocol.version',
  'jsonrpc.request.id',
  'mcp.method.name',
  // Functions and clouds
  'faas.trigger',
  'faas.invoked_name',
  'faas.invoked_provider',
  'faas.invoked_region',
  'aws.bedrock.guardrail.id',
  'aws.extended_request_id',
  'gcp.client.service',
  'cloudevents.event_id',
  'cloudevents.event_source',
  // Generative models
  'gen_ai.operation.name',
  'gen_ai.provider.name',
  'gen_ai.system',
  'gen_ai.request.model',
  'gen_ai.conversation.id',
  'gen_ai.agent.id',
  'gen_ai.agent.name',
  'gen_ai.tool.name',
  'gen_ai.output.type',
  'gen_ai.prompt.name',
  'gen_ai.workflow.name',
  // GraphQL, feature flags, command lines, pipelines
  'graphql.operation.name',
  'graphql.operation.type',
  'feature_flag.key',
  'process.executable.name',
  'process.exit.code',
  'process.pid',
  'cicd.pipeline.result',
  'cicd.pipeline.task.name',
  'cicd.pipeline.task.run.id',
  'cicd.pipeline.task.run.result',
  'cicd.pipeline.task.run.url.full',
  // Older names
  'http.method',
  'http.status_code',
  'http.url',
  'http.target',
  'http.scheme',
  'http.host',
  'net.peer.name',
  'net.peer.port',
  'net.host.name',
  'net.host.port',
  'db.system',
  'db.name',
  'db.operation',
  'db.sql.table',
  'messaging.destination',
  'messaging.operation',
  'peer.service',
]);
