// Alerts for operators, on the log lines that docs/log.md explains.

@description('The suffix of resource names.')
param name string

@description('The location.')
param location string

@description('The tags of each resource.')
param tags { *: string }

@description('The Application Insights component to query.')
param insightsId string

@description('The email addresses that receive alerts.')
param emails string[]

// Finds records by their level and their first words, in both forms of the log. What follows is not searched: callers
// choose what stands in fields, such as ids and names of agents. Before them the host may add what has no field.
func says(level string, words string[]) string =>
  'traces | where message matches regex @\'^[^={"]*(\\S+Z +${level} (call\\{[^{}]*\\}: )?|\\{"timestamp":"[^"]+","level":"${level}","message":")(${join(words, '|')})\''

var rules = [
  {
    name: 'sweep-silent'
    says: 'No sweep has completed for 15 minutes: the app is down, or its store cannot be used. Emails, reminders and the recording of timeouts are delayed.'
    severity: 1
    // The sweep's answer to the host, which is a record of its own.
    query: 'traces | where message matches regex @\'^[^={"]*\\d+ due, [^={"]*, complete: true\''
    operator: 'LessThan'
    threshold: 1
  }
  {
    name: 'mail-failing'
    says: 'Email has failed for five minutes or longer, however few there are, or the gate is misconfigured: a password, a certificate, a role or the sender is wrong. The log line has the cause. It resolves once an email is accepted.'
    severity: 1
    query: says('ERROR', ['email cannot be sent with these settings', 'email keeps failing'])
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'mail-delayed'
    says: 'Emails are not accepted. They are retried; the log lines have the causes.'
    severity: 2
    query: says('WARN', ['email not sent'])
    operator: 'GreaterThan'
    threshold: 10
  }
  {
    name: 'undeliverable'
    says: 'A request has ended because none of the addresses whose approval it needs takes email. The log line has the request; the lines before it have the causes.'
    severity: 2
    query: says('INFO', ['stored event="Undeliverable"', 'stored","event":"Undeliverable"'])
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'channel-off'
    says: 'A channel is switched off, since its receiver answers 410. Its messages are dropped until `human-oversight webhooks enable`; `webhooks redeliver` sends them then.'
    severity: 2
    query: says('ERROR', ['a channel is switched off'])
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'channel-failing'
    says: 'A channel does not accept its messages. They are retried for 28 hours; the log lines have the causes.'
    severity: 3
    query: says('WARN', ['channel not told'])
    operator: 'GreaterThan'
    threshold: 10
  }
  {
    name: 'index-lost'
    says: 'A table, or the due index in one, was lost. The index is rebuilt by the sweep; emails and timeouts that were due meanwhile are late. The rows of other tables come from the backup. Find out what has deleted it.'
    severity: 1
    query: says('ERROR', ['the due index was lost', 'a table was lost'])
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'integrity'
    says: 'A row does not match its row MAC, or the due index has an entry of another program: the tables were changed outside the gate, or a key was removed. The log line has the request and the cause; each is logged once by the sweep, which sets it aside.'
    severity: 0
    query: says('ERROR', ['integrity problem'])
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'paused'
    says: 'An operator has paused operations through the gate, or the gate refuses claims and submits because of a pause.'
    severity: 1
    query: says('WARN', ['refused while paused', 'operations paused'])
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'server-errors'
    says: 'Calls fail with 5xx.'
    severity: 2
    query: 'requests | where resultCode startswith "5"'
    operator: 'GreaterThan'
    threshold: 5
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${name}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'oversight'
    enabled: true
    emailReceivers: [
      for (email, i) in emails: {
        name: 'operator-${i}'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for rule in rules: {
    name: 'alert-${rule.name}-${name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Human Oversight: ${rule.name}'
      description: rule.says
      severity: rule.severity
      enabled: true
      scopes: [insightsId]
      evaluationFrequency: 'PT15M'
      windowSize: 'PT15M'
      // Nothing has been logged yet when this resource is created.
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
  }
]
