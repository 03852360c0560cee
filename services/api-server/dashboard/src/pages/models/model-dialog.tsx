import { useNavigate } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { api, data } from "../../api/client";
import { mistakesByField, useFocusOnMistake } from "../../api/mistakes";
import { modelQuery, queryClient } from "../../api/queries";
import { ifMatch } from "../../api/versions";
import { useAction } from "../../parts/action";
import { Button } from "../../parts/button";
import { ConflictDialog, useConflict } from "../../parts/conflict";
import { Dialog, DialogBody } from "../../parts/dialog";
import { AreaField, TextField } from "../../parts/field";
import { Failure } from "../../parts/layout";
import { capabilitiesFrom, capabilitiesOf } from "./capabilities";

interface Model {
  id: string;
  updated_at: number;
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
  const listed = model ? capabilitiesOf(model.capabilities).join(", ") : "chat";
  const [capabilities, setCapabilities] = useState(listed);
  const title = model ? `Change ${model.id}` : "Add a model";
  const { conflict, close, guard } = useConflict<Model>();
  const body = () => ({
    name: name.trim() || id.trim(),
    description: description.trim() || null,
    capabilities: capabilitiesFrom(capabilities),
  });
  /** Returns the fields that were edited: the others stay as they are stored. */
  const edits = (stored: Model) => ({
    ...(name !== stored.name && { name: body().name }),
    ...(description !== (stored.description ?? "") && { description: body().description }),
    ...(capabilities !== listed && { capabilities: body().capabilities }),
  });
  const put = (over: Model) =>
    data(
      api.PUT("/api/models/{id}", {
        params: { path: { id: over.id } },
        body: edits(model ?? over),
        // The time of the change is a version, too.
        headers: ifMatch(`"${over.updated_at}"`),
      }),
    );
  const finish = async () => {
    await queryClient.invalidateQueries({ queryKey: ["models"] });
    onClose();
  };
  const save = useAction(
    async () => {
      if (model) await guard(model, put, () => queryClient.fetchQuery({ ...modelQuery(model.id), staleTime: 0 }));
      else await data(api.POST("/api/models", { body: { ...body(), id: id.trim() } }));
    },
    {
      done: "Saved",
      after: async () => {
        await finish();
        if (!model) await navigate({ to: "/models/$id", params: { id: id.trim() } });
      },
    },
  );
  useFocusOnMistake(form, save.problem);
  const mistakes = mistakesByField(save.problem, ["id", "name", "description", "capabilities"]);
  return (
    <Dialog title={title} onClose={onClose}>
      {conflict && model && (
        <ConflictDialog
          what="The model"
          base={model}
          now={conflict.now}
          onMine={async () => {
            await conflict.mine();
            await finish();
          }}
          onTheirs={() => void finish()}
          onClose={close}
        />
      )}
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
