//! State machines: made, changed, tagged, deleted.

use serde_json::{Map, Value, json};

use super::{Batch, Core};
use crate::AwsError;
use crate::engine::Request;
use crate::history::epoch_seconds;
use crate::interpreter::{ErrorAndCause, Signal};
use crate::store::{Machine, Revision, RowId, Write};

impl Core {
    pub(super) fn create_machine(
        &mut self,
        request: Request,
        batch: &mut Batch,
    ) -> Result<Value, AwsError> {
        let Request::CreateStateMachine {
            name,
            definition,
            machine,
            role_arn,
            tags,
            settings,
        } = request
        else {
            return Err(AwsError::validation("not a CreateStateMachine request"));
        };
        let arn = self.place.state_machine_arn(&name);
        if let Some(existing) = self.machines.get(&name) {
            let same = existing.revision.definition == definition
                && existing.revision.role_arn == role_arn;
            if !same {
                return Err(AwsError::new(
                    "StateMachineAlreadyExists",
                    format!("State Machine Already Exists: '{arn}'"),
                ));
            }
            let created = epoch_seconds(existing.created);
            return Ok(json!({"stateMachineArn": arn, "creationDate": created}));
        }
        let revision = self.new_revision(&name, definition, role_arn, settings, batch);
        self.definitions.insert(revision.id, machine);
        let machine = Machine {
            name: name.clone(),
            created: batch.now,
            tags,
            revision,
        };
        batch.writes.push(Write::Machine(machine.clone()));
        self.machines.insert(name, machine);
        Ok(json!({"stateMachineArn": arn, "creationDate": epoch_seconds(batch.now)}))
    }

    pub(super) fn update_machine(
        &mut self,
        request: Request,
        batch: &mut Batch,
    ) -> Result<Value, AwsError> {
        let Request::UpdateStateMachine {
            name,
            definition,
            role_arn,
            settings,
        } = request
        else {
            return Err(AwsError::validation("not an UpdateStateMachine request"));
        };
        let mut machine = self.machine(&name)?.clone();
        let parsed = self.definitions.remove(&machine.revision.id);
        let (text, parsed) = definition
            .map_or((machine.revision.definition, parsed), |(text, parsed)| {
                (text, Some(parsed))
            });
        let mut all_settings = machine.revision.settings;
        if let (Some(all), Value::Object(new)) = (all_settings.as_object_mut(), settings) {
            all.extend(new);
        }
        let role_arn = role_arn.unwrap_or(machine.revision.role_arn);
        machine.revision = self.new_revision(&name, text, role_arn, all_settings, batch);
        if let Some(parsed) = parsed {
            self.definitions.insert(machine.revision.id, parsed);
        }
        let revision_id = machine.revision.uuid.clone();
        batch.writes.push(Write::Machine(machine.clone()));
        self.machines.insert(name, machine);
        Ok(json!({"updateDate": epoch_seconds(batch.now), "revisionId": revision_id}))
    }

    /// Deleting what is not there succeeds, as on AWS. Its running executions are aborted; their
    /// histories stay.
    pub(super) fn delete_machine(&mut self, name: &str, batch: &mut Batch) -> Value {
        if let Some(machine) = self.machines.remove(name) {
            self.definitions.remove(&machine.revision.id);
            let running = self
                .runs
                .iter()
                .filter(|(_, run)| run.info.machine_name == name);
            let running: Vec<RowId> = running.map(|(id, _)| *id).collect();
            for id in running {
                self.signal(id, Signal::Stop(ErrorAndCause::default()), batch);
            }
            batch.writes.push(Write::DeleteMachine {
                machine: name.to_owned(),
            });
        }
        json!({})
    }

    pub(super) fn change_tags(
        &mut self,
        name: &str,
        batch: &mut Batch,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> Result<Value, AwsError> {
        let arn = self.place.state_machine_arn(name);
        let machine = self.machines.get_mut(name).ok_or_else(|| {
            AwsError::new("ResourceNotFound", format!("Resource not found: '{arn}'"))
        })?;
        if let Value::Object(tags) = &mut machine.tags {
            change(tags);
        }
        batch.writes.push(Write::Tags {
            machine: name.to_owned(),
            tags: machine.tags.to_string(),
        });
        Ok(json!({}))
    }

    pub(super) fn machine(&self, name: &str) -> Result<&Machine, AwsError> {
        let arn = || self.place.state_machine_arn(name);
        self.machines
            .get(name)
            .ok_or_else(|| AwsError::no_state_machine(&arn()))
    }

    fn new_revision(
        &mut self,
        machine: &str,
        definition: String,
        role_arn: String,
        settings: Value,
        batch: &Batch,
    ) -> Revision {
        self.last_revision += 1;
        Revision {
            id: self.last_revision,
            uuid: uuid::Uuid::new_v4().to_string(),
            machine: machine.to_owned(),
            definition,
            role_arn,
            settings,
            created: batch.now,
        }
    }
}
