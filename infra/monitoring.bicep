@description('The suffix of resource names.')
param name string

@description('The location.')
param location string

@description('The tags of each resource.')
param tags { *: string }

@description('The gate\'s managed identity.')
param principalId string

@description('The retention of logs, in days.')
param logDays int

@description('The daily limit of logs, in gigabytes.')
param logGigabytesADay int

var metricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb' // Monitoring Metrics Publisher

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: 'log-${name}'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: logDays
    workspaceCapping: { dailyQuotaGb: logGigabytesADay }
    features: { disableLocalAuth: true }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${name}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

resource lines 'Microsoft.OperationalInsights/workspaces/savedSearches@2025-07-01' = {
  parent: workspace
  name: 'gate-log'
  properties: {
    category: 'Human Oversight'
    displayName: 'gate_log: the parsed log lines of the gate'
    functionAlias: 'gate_log'
    query: loadTextContent('queries/gate_log.kql')
  }
}

// docs/operations.md explains each query.
var questions = [
  { name: 'alive', asks: 'Is the gate alive?', query: loadTextContent('queries/alive.kql') }
  { name: 'failures', asks: 'What fails, and why?', query: loadTextContent('queries/failures.kql') }
  { name: 'request', asks: 'What happened to this request?', query: loadTextContent('queries/request.kql') }
  { name: 'invocation', asks: 'What happened in this call?', query: loadTextContent('queries/invocation.kql') }
  { name: 'mail', asks: 'Is email accepted?', query: loadTextContent('queries/mail.kql') }
  { name: 'channels', asks: 'Do channels accept their messages?', query: loadTextContent('queries/channels.kql') }
  { name: 'decisions', asks: 'How long do decisions take?', query: loadTextContent('queries/decisions.kql') }
  { name: 'endings', asks: 'How do requests end?', query: loadTextContent('queries/endings.kql') }
  { name: 'agents', asks: 'Which agents submit, and how often?', query: loadTextContent('queries/agents.kql') }
  {
    name: 'refusals'
    asks: 'Does a caller try to reach what belongs to others?'
    query: loadTextContent('queries/refusals.kql')
  }
  { name: 'latency', asks: 'How fast does the gate respond?', query: loadTextContent('queries/latency.kql') }
  { name: 'starts', asks: 'Did it start, and how often?', query: loadTextContent('queries/starts.kql') }
]

resource searches 'Microsoft.OperationalInsights/workspaces/savedSearches@2025-07-01' = [
  for question in questions: {
    parent: workspace
    name: 'gate-${question.name}'
    properties: {
      category: 'Human Oversight'
      displayName: question.asks
      query: question.query
    }
  }
]

resource mayPublish 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, principalId, metricsPublisher)
  scope: insights
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsPublisher)
  }
}

@description('The workspace, for diagnostic settings.')
output workspaceId string = workspace.id

@description('The Application Insights component, for alerts.')
output insightsId string = insights.id

@description('The connection string for the host\'s telemetry. Not a secret: telemetry is accepted only with a token.')
output connectionString string = insights.properties.ConnectionString
