import { useNavigate } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { api, data } from "../../api/client";
import { mistakesByField, useFocusOnMistake } from "../../api/mistakes";
import { queryClient } from "../../api/queries";
import { useAction } from "../../parts/action";
import { Button } from "../../parts/button";
import { Dialog, DialogBody } from "../../parts/dialog";
import { AreaField, TextField } from "../../parts/field";
import { Failure } from "../../parts/layout";
import { capabilitiesFrom, capabilitiesOf } from "./capabilities";

interface Model {
  id: string;
  name: string;
  description?: string | null;
  capabilities?: string | null;
}

/** Adds a model, or changes one. */
export function ModelDialog({ model, onClose }: { model?: Model; onClose: () => void }) {
  const navigate = useNavigate();
  const form = useRef<HTMLFormElement>(null);
  const [id, setId] = useState(model?.id ?? "");
  const [name, setName] = useState(model?.name ?? "");
  const [description, setDescription] = useState(model?.description ?? "");
  const [capabilities, setCapabilities] = useState(model ? capabilitiesOf(model.capabilities).join(", ") : "chat");
  const title = model ? `Change ${model.id}` : "Add a model";
  const save = useAction(
    async () => {
      const body = {
        name: name.trim() || id.trim(),
        description: description.trim() || null,
        capabilities: capabilitiesFrom(capabilities),
      };
      await (model
        ? data(api.PUT("/api/models/{id}", { params: { path: { id: model.id } }, body }))
        : data(api.POST("/api/models", { body: { ...body, id: id.trim() } })));
    },
    {
      done: "Saved",
      after: async () => {
        await queryClient.invalidateQueries({ queryKey: ["models"] });
        onClose();
        if (!model) await navigate({ to: "/models/$id", params: { id: id.trim() } });
      },
    },
  );
  useFocusOnMistake(form, save.problem);
  const mistakes = mistakesByField(save.problem, ["id", "name", "description", "capabilities"]);
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        ref={form}
        onSubmit={(event) => {
          event.preventDefault();
          save.run();
        }}
      >
        <DialogBody
          title={title}
          actions={
            <>
              <Button onClick={onClose}>Cancel</Button>
              <Button kind="primary" type="submit" pending={save.pending}>
                Save
              </Button>
            </>
          }
        >
          {save.problem && <Failure title="Not saved." error={save.problem} />}
          {!model && (
            <TextField
              label="Id"
              required
              mono
              value={id}
              onChange={setId}
              mistakes={mistakes.get("id")}
              hint="The name that clients send, and that the provider knows. Link it to a provider afterwards."
            />
          )}
          <TextField label="Name" value={name} onChange={setName} placeholder={id} mistakes={mistakes.get("name")} />
          <TextField
            label="Capabilities"
            value={capabilities}
            onChange={setCapabilities}
            mistakes={mistakes.get("capabilities")}
            hint="Words with commas between them, such as chat, vision, tools."
          />
          <AreaField
            label="Description"
            rows={2}
            value={description}
            onChange={setDescription}
            mistakes={mistakes.get("description")}
          />
        </DialogBody>
      </form>
    </Dialog>
  );
}
