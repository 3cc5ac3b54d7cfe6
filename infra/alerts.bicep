// The log lines of docs/functions.md that somebody should hear of.

@description('What names end with.')
param name string

@description('Where.')
param location string

@description('The component whose telemetry is looked at.')
param insightsId string

@description('Who is mailed.')
param emails array

var rules = [
  {
    name: 'sweep-silent'
    says: 'No sweep has gone through for 15 minutes: the app is down, its store cannot be used, or a damaged row is left over. Mails, reminders and deadlines wait.'
    severity: 1
    query: 'traces | where message contains "complete: true"'
    operator: 'LessThan'
    threshold: 1
  }
  {
    name: 'mail-failing'
    says: 'No mail can be sent as the gate is set up: a password, a certificate, a role or the sender is wrong. The line has the cause.'
    severity: 1
    query: 'traces | where message contains "email cannot be sent with these settings"'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'mail-delayed'
    says: 'Mails are not taken. They are tried again; the lines have the causes.'
    severity: 2
    query: 'traces | where message contains "email not sent"'
    operator: 'GreaterThan'
    threshold: 10
  }
  {
    name: 'integrity'
    says: 'A row is not as it was sealed: somebody changed the table, or a key was taken away. The line has the request and the cause.'
    severity: 0
    query: 'traces | where message contains "integrity problem"'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'server-errors'
    says: 'Calls are answered with 5xx.'
    severity: 2
    query: 'requests | where resultCode startswith "5"'
    operator: 'GreaterThan'
    threshold: 5
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${name}'
  location: 'global'
  properties: {
    groupShortName: 'oversight'
    enabled: true
    emailReceivers: [for (email, i) in emails: {
      name: 'operator-${i}'
      emailAddress: email
      useCommonAlertSchema: true
    }]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for rule in rules: {
  name: 'alert-${rule.name}-${name}'
  location: location
  kind: 'LogAlert'
  properties: {
    displayName: 'Human Oversight: ${rule.name}'
    description: rule.says
    severity: rule.severity
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    // Nothing has been logged yet when this is made.
    skipQueryValidation: true
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: rule.query
          timeAggregation: 'Count'
          operator: rule.operator
          threshold: rule.threshold
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: { actionGroups: [people.id] }
  }
}]
