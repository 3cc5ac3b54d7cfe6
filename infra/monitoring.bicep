@description('What names end with.')
param name string

@description('Where.')
param location string

@description('The gate\'s identity.')
param principalId string

@description('How long logs are kept.')
param logDays int

@description('How much may be logged a day.')
param logGigabytesADay int

var metricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb' // Monitoring Metrics Publisher

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: 'log-${name}'
  location: location
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
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

resource lines 'Microsoft.OperationalInsights/workspaces/savedSearches@2023-09-01' = {
  parent: workspace
  name: 'gate-log'
  properties: {
    category: 'Human Oversight'
    displayName: 'gate_log: the lines of the gate, taken apart'
    functionAlias: 'gate_log'
    query: loadTextContent('queries/gate_log.kql')
  }
}

// docs/operations.md says what each is for.
var questions = [
  { name: 'alive', asks: 'Is it alive?', query: loadTextContent('queries/alive.kql') }
  { name: 'failures', asks: 'What fails, and why?', query: loadTextContent('queries/failures.kql') }
  { name: 'request', asks: 'What happened to this request?', query: loadTextContent('queries/request.kql') }
  { name: 'invocation', asks: 'What happened in this call?', query: loadTextContent('queries/invocation.kql') }
  { name: 'mail', asks: 'Is mail taken?', query: loadTextContent('queries/mail.kql') }
  { name: 'decisions', asks: 'How long do people take?', query: loadTextContent('queries/decisions.kql') }
  { name: 'endings', asks: 'How do requests end?', query: loadTextContent('queries/endings.kql') }
  { name: 'agents', asks: 'Who asks, and how often?', query: loadTextContent('queries/agents.kql') }
  { name: 'refusals', asks: 'Does somebody try what is not theirs?', query: loadTextContent('queries/refusals.kql') }
  { name: 'latency', asks: 'How fast does it answer?', query: loadTextContent('queries/latency.kql') }
  { name: 'starts', asks: 'Did it start, and how often?', query: loadTextContent('queries/starts.kql') }
]

resource searches 'Microsoft.OperationalInsights/workspaces/savedSearches@2023-09-01' = [for question in questions: {
  parent: workspace
  name: 'gate-${question.name}'
  properties: {
    category: 'Human Oversight'
    displayName: question.asks
    query: question.query
  }
}]

resource mayPublish 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, principalId, metricsPublisher)
  scope: insights
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsPublisher)
  }
}

@description('The component, for alerts.')
output insightsId string = insights.id

@description('Where the host sends its telemetry. No secret: without a token nothing is taken.')
output connectionString string = insights.properties.ConnectionString
